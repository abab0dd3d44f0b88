"""The process in which HDF5 reads a file where none can be forked: `python -m grubridge.files.hdf5_child`.

The first message says which file and how: {"path", "entry": a zip archive's, or null, "memory", "seconds",
"size"}. The rest is as `hdf5_reader` has it. What is read comes to lie in the file `VALUES` of the working
folder.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from .child_process import Parent
from .hdf5_content import Hdf5Content
from .hdf5_guard import VALUES
from .hdf5_reader import serve
from .zips import ZipEntry

__all__ = ["main"]


def main() -> None:
    """Serve until the parent has no more to ask."""
    parent = Parent()
    first = next(iter(parent))
    entry = None if first["entry"] is None else ZipEntry(**first["entry"])
    content = Hdf5Content(Path(first["path"]), entry)
    output = _output(first["size"]) if first["size"] else None
    serve(content, parent, first["memory"], first["seconds"], output)


def _output(size: int) -> mmap.mmap:
    with Path(VALUES).open("w+b") as file:
        file.truncate(size)
        return mmap.mmap(file.fileno(), size)


if __name__ == "__main__":
    main()
    os._exit(0)
