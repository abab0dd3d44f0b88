"""Mutations of files that hold others: what is around the change fits it, so that readers get there."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from random import Random
from typing import Any

import h5py
import numpy as np

from . import values

__all__ = ["WHOLE", "archive", "hdf5", "safetensors"]

_NPY = b"\x93NUMPY"
_HDF5 = b"\x89HDF"

WHOLE: list[bytes] = []
"""HDF5 files of which it is known that HDF5 can open them."""


def safetensors(data: bytes, rng: Random) -> bytes:
    """Change the JSON header, its length put right, or bytes anywhere."""
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.2 or size > len(data):
        return values.any_bytes(data, rng)
    header = values.json_tree(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def archive(data: bytes, rng: Random) -> bytes:
    """Change an entry of a zip, its checksum put right, or the archive around it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as stored:
            entries = [(info.filename, stored.read(info)) for info in stored.infolist()]
    except Exception:  # noqa: BLE001 - the decoder of a damaged archive raises anything
        return values.any_bytes(data, rng)
    at = rng.randrange(len(entries)) if entries else 0
    match rng.randrange(8) if entries else 7:
        case 0:
            entries.append((entries[at][0], rng.choice(entries)[1]))
        case 1:
            del entries[at]
        case 2:
            name, content = entries[at]
            entries[at] = values.text(name.encode(), rng).decode("utf-8", "replace"), content
        case 7:
            return values.any_bytes(data, rng)
        case _:
            name, content = entries[at]
            entries[at] = name, _content(name, content, rng)
    return _zipped(entries, rng)


def _content(name: str, content: bytes, rng: Random) -> bytes:
    if content.startswith(_HDF5):
        return hdf5(content, rng)
    if content.startswith(_NPY):
        return _npy(content, rng)
    kinds = {"json": values.json_tree, "pkl": values.pickle}
    return kinds.get(name.rpartition(".")[2], values.any_bytes)(content, rng)


def _zipped(entries: list[tuple[str, bytes]], rng: Random) -> bytes:
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as written:
        for name, content in entries:
            info = zipfile.ZipInfo(name[:5000].encode("utf-8", "replace").decode())
            info.compress_type = method
            with suppress(UserWarning):  # a name that is there twice
                written.writestr(info, content)
    return made.getvalue()


def _npy(content: bytes, rng: Random) -> bytes:
    """Change the text that says dtype, order and shape, its length put right."""
    size = int.from_bytes(content[8:10], "little")
    header = values.text(content[10 : 10 + size], rng)[:65535]
    return content[:8] + struct.pack("<H", len(header)) + header + content[10 + size :]


def hdf5(data: bytes, rng: Random) -> bytes:
    """Change bytes, or let HDF5 itself change attributes and data sets of a file that is whole.

    HDF5 is not given what may be damaged: it could crash, and this process is not the one to find that.
    """
    if not WHOLE or rng.random() < 0.5:
        return values.any_bytes(data, rng)
    made = io.BytesIO(data if data in WHOLE else rng.choice(WHOLE))
    with h5py.File(made, "r+") as file:
        places: list[Any] = [file]
        file.visititems(lambda _, item: places.append(item))
        with suppress(Exception):  # what HDF5 refuses to make stays as it was
            _edit(file, rng.choice(places), rng)
    return made.getvalue()


def _edit(file: h5py.File, item: Any, rng: Random) -> None:  # noqa: ANN401 - a group or a data set
    odd = rng.choice(("", "x", b"\xff", np.bytes_("gru"), 7, 1.5, np.arange(5), [b"kernel:0"], ["a", "b"]))
    match rng.randrange(5):
        case 0 if len(item.attrs):
            name = rng.choice(list(item.attrs))
            stored = item.attrs[name]
            whole = stored.encode() if isinstance(stored, str) else stored
            is_text = isinstance(whole, bytes) and rng.random() < 0.8
            item.attrs[name] = values.json_tree(whole, rng) if is_text else odd
        case 1:
            item.attrs[rng.choice(("model_config", "layer_names", "weight_names", "name"))] = odd
        case 2 if item.name != "/":
            del file[item.name]
        case 3 if item.name != "/":
            where = rng.choice(("", "/", "gru", item.name))
            link = rng.choice((h5py.SoftLink(item.name), h5py.ExternalLink("/etc/passwd", "/"), item.parent))
            file[f"{where}/{rng.choice(('0', '1', 'vars', 'kernel:0'))}"] = link
        case _ if isinstance(item, h5py.Dataset):
            _replace(file, item, rng)


def _replace(file: h5py.File, item: Any, rng: Random) -> None:  # noqa: ANN401 - a data set
    name, array, parts = item.name, item[()], None
    shape = tuple(rng.choice((size, size, size + 1, 0, 1)) for size in np.shape(array))
    dtype = rng.choice(("<f4", ">f4", "<f8", "<f2", "<i4", "?", "S4", h5py.string_dtype()))
    if rng.random() < 0.3:
        shape = tuple(rng.choice((10**9, 10**12, size)) for size in np.shape(array))
        parts = tuple(1024 if size > 1024 else max(size, 1) for size in shape)
    del file[name]
    chosen = {"chunks": parts, "compression": rng.choice((None, "gzip", "lzf"))} if parts else {}
    made = file.create_dataset(name, shape, dtype, **chosen)
    if not parts and made.dtype.kind == "f" and rng.random() < 0.7:
        made[...] = np.resize(array, shape)
