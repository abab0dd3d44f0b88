"""The process in which HDF5 reads a file, and what becomes of an answer that never comes.

One changed byte lets HDF5 crash or turn in a circle, and no check before it finds all of them. So it reads in
a process of its own, with limits: forked off this one where that can be, which costs milliseconds, or else
started anew. Arrays come back through memory that both share.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError

from .child_process import ChildProcess, Ended
from .forked import CAN_FORK, ForkedChild
from .hdf5_content import Hdf5Content
from .limits import allowed, current
from .text import printable, quoted

__all__ = ["VALUES", "Hdf5Guard"]

VALUES = "values"
"""The file with what a fresh process has read."""

_ITSELF = 64 << 20  # bytes that Python and HDF5 take for any file
_STRUCTURE = 192 << 20  # and for what a file may say, by default
_COPIES = 4  # of a compressed array, while it is unpacked
_SECONDS = 10.0
_BYTES_A_SECOND = 16 << 20  # of an array that is unpacked, on a slow machine
_LONGEST_WORDS = 1000
_ERRORS = {kind.__name__: kind for kind in (CorruptFileError, FileFormatError, UnsafeFileError)}


class Hdf5Guard:
    """A process that answers what is asked about one HDF5 file, and ends with `close` or with this object."""

    def __init__(self, content: Hdf5Content, size: int = 0) -> None:
        """Start the process and open the file in it.

        Args:
            content: the file.
            size: the bytes of the array that `read` is asked for; 0 when it reads none.

        Raises:
            CorruptFileError: when HDF5 cannot open it.
            FileFormatError: when the system refuses the process.
        """
        self._where = content.where
        self._seconds = current().timeout or _SECONDS + size / _BYTES_A_SECOND
        memory = _ITSELF + allowed(_STRUCTURE) + _COPIES * size
        self._child: ForkedChild | ChildProcess
        self._values: Callable[[], mmap.mmap | bytes]
        try:
            if CAN_FORK:
                output = mmap.mmap(-1, size) if size else None
                self._child = _forked(content, memory, self._seconds, output)
                self._values = lambda: output or b""
            else:
                self._child = child = _fresh(content, memory, self._seconds, size)
                self._values = (child.folder / VALUES).read_bytes
        except OSError as error:
            raise FileFormatError(
                f"{self._where}: HDF5 reads it in a process of its own, and the system refuses that one: "
                f"{printable(error)}"
            ) from None
        self.close = weakref.finalize(self, self._child.close)
        """End the process."""
        try:
            self.ask("open")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Hdf5Guard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ask(self, method: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON values
        """Return what a method of `hdf5_reader` answers.

        Raises:
            CorruptFileError: when the file is damaged, or HDF5 crashes on it or never answers.
            UnsafeFileError: when reading would leave the file or exhaust memory.
        """
        self._child.tell({"ask": method, "arguments": arguments})
        try:
            answer = self._child.hear(self._seconds)
        except Ended as ended:
            place = _place(method, *arguments)
            advice = "; --timeout SECONDS gives it longer" if ended.late else ""
            raise CorruptFileError(
                f"{self._where}: HDF5 itself failed on {place}: {ended}; the file is damaged or hostile: "
                f"copy or download it again{advice}"
            ) from None
        if "error" in answer:
            raise _ERRORS.get(answer["error"], CorruptFileError)(printable(answer["words"], _LONGEST_WORDS))
        return answer.get("value")

    def read(self, path: str) -> mmap.mmap | bytes:
        """Return the values of the array at `path`, of as many bytes as the process was started for.

        Raises:
            FileFormatError: as `ask`.
        """
        self.ask("read", path)
        return self._values()


def _place(method: str, path: str = "", attribute: str = "") -> str:
    if method == "texts":
        return f"the attribute {printable(attribute)} of {quoted(path or '/')}"
    return printable(path or "the root group")


def _forked(content: Hdf5Content, memory: int, seconds: float, output: mmap.mmap | None) -> ForkedChild:
    from .hdf5_reader import serve  # and with it h5py, before the fork

    return ForkedChild(lambda asking: serve(content, asking, memory, seconds, output))


def _fresh(content: Hdf5Content, memory: int, seconds: float, size: int) -> ChildProcess:
    child = ChildProcess("grubridge.files.hdf5_child")
    entry = None if content.entry is None else asdict(content.entry)
    path = str(content.path.absolute())
    child.tell({"path": path, "entry": entry, "memory": memory, "seconds": seconds, "size": size})
    return child
