"""Zip archives as data: a checked directory of entries, and bounded reads.

Nothing is ever extracted: entries are looked up by fixed names, and a stored entry can be mapped in place.
Layout: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from grubridge.errors import CorruptFileError, UnsafeFileError

from .opening import FileMap, check_budget, shown
from .text import printable

__all__ = ["ZipEntry", "check_crc", "read_entry", "read_zip", "unpacks_too_far"]

_LARGEST_DIRECTORY = 4 << 20  # bytes; 50,000 tensors have names enough in that
_LARGEST_RATIO = 100  # weights hardly compress; a bomb reaches 1000
_RATIO_MATTERS_FROM = 1 << 20
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED = 0x1
_UTF8 = 0x800


@dataclass(frozen=True)
class ZipEntry:
    """One entry of a zip archive.

    Args:
        name: its name.
        offset: where its data starts in the file.
        size: bytes of its content.
        compressed_size: bytes that it takes in the file.
        deflated: whether it is deflated; otherwise it is stored as it is.
        crc: CRC-32 of its content; 0 when the writer did not compute it, as torch.save may be told.
    """

    name: str
    offset: int
    size: int
    compressed_size: int
    deflated: bool
    crc: int


class _BoundedFile(FileIO):
    """A file that refuses the one large read of `zipfile`: a directory whose size is a claim of the file."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None:
            check_budget(Path(str(self.name)), size, "the zip directory", _LARGEST_DIRECTORY)
        return super().read(size) or b""


def read_zip(path: Path) -> Mapping[str, ZipEntry]:
    """Return the entries of the zip archive at `path` by name, in the order of its directory.

    Raises:
        FileFormatError: when the file cannot be opened.
        CorruptFileError: when it is no zip archive, or a damaged one.
        UnsafeFileError: when entries are encrypted, repeated, overlapping or compressed in an unknown way.
    """
    file = FileMap(path)
    try:
        with _BoundedFile(path) as opened, zipfile.ZipFile(opened) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, struct.error, OSError, ValueError, EOFError) as error:
        raise CorruptFileError(
            f"{shown(path)}: its zip directory cannot be read ({printable(error)}); it is truncated or "
            "damaged: copy or download it again"
        ) from None
    entries: dict[str, ZipEntry] = {}
    occupied = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        entry = _checked(file, info)
        if info.header_offset < occupied:
            raise UnsafeFileError(f"{shown(path)}: zip entry {printable(entry.name)} overlaps another entry")
        occupied = entry.offset + entry.compressed_size
        if occupied > end:
            raise CorruptFileError(
                f"{shown(path)}: zip entry {printable(entry.name)} should end at byte {occupied}, but the "
                f"entries end at {end}; the file is truncated or damaged: copy or download it again"
            )
        if entry.name in entries:
            raise UnsafeFileError(
                f"{shown(path)}: zip entry {printable(entry.name)} exists twice, and programs differ in "
                "which one they read"
            )
        entries[entry.name] = entry
    return {info.filename: entries[info.filename] for info in infos}


def _checked(file: FileMap, info: zipfile.ZipInfo) -> ZipEntry:
    """Return the entry of a directory record, its local header checked against it."""
    name = printable(info.filename)
    header = file.bytes(info.header_offset, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise CorruptFileError(f"{shown(file.path)}: zip entry {name} has no header; the file is damaged")
    _, _, flags, method, *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + _LOCAL_HEADER.size
    stored_name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    if file.bytes(start, name_size) != stored_name or method != info.compress_type:
        raise CorruptFileError(
            f"{shown(file.path)}: zip entry {name} differs between its header and the directory; "
            "the file is damaged or hostile"
        )
    if (flags | info.flag_bits) & _ENCRYPTED:
        raise UnsafeFileError(f"{shown(file.path)}: zip entry {name} is encrypted; decrypt the archive first")
    deflated = method == zipfile.ZIP_DEFLATED
    if not deflated and method != zipfile.ZIP_STORED:
        raise UnsafeFileError(
            f"{shown(file.path)}: zip entry {name} is compressed by method {method}; expected stored or "
            "deflated: pack the archive again without compression"
        )
    if not deflated and info.file_size != info.compress_size:
        raise CorruptFileError(
            f"{shown(file.path)}: zip entry {name} is stored, so {info.file_size} bytes should take as many; "
            f"the directory says {info.compress_size}"
        )
    offset = start + name_size + extra_size
    return ZipEntry(info.filename, offset, info.file_size, info.compress_size, deflated, info.CRC)


def read_entry(path: Path, entry: ZipEntry, limit: int, *, may_be_zeros: bool = False) -> bytes:
    """Return the content of `entry`, checked against its CRC.

    Args:
        path: the archive.
        entry: the entry.
        limit: the bytes that it may take by default.
        may_be_zeros: whether it may be deflated as far as only a bomb, or an array of zeros, is.

    Raises:
        UnsafeFileError: when it is larger than `limit` bytes, or deflated beyond all reason.
        CorruptFileError: when its content is not what the directory says.
    """
    check_budget(path, entry.size, f"zip entry {entry.name}", limit)
    if not may_be_zeros and unpacks_too_far(entry.compressed_size, entry.size):
        raise UnsafeFileError(
            f"{shown(path)}: zip entry {printable(entry.name)} unpacks {entry.compressed_size} bytes into "
            f"{entry.size}; that is a zip bomb, not a model"
        )
    # a stored entry's two sizes are equal, and a deflated one can claim no more than its size and a margin
    check_budget(path, entry.compressed_size, f"zip entry {entry.name}", limit + (limit >> 3) + 1024)
    data = FileMap(path).bytes(entry.offset, entry.compressed_size)
    if entry.deflated:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, entry.size + 1)
        except zlib.error:
            raise _damaged(path, entry) from None
    if len(data) != entry.size or entry.crc not in (0, zlib.crc32(data)):
        raise _damaged(path, entry)
    return data


def unpacks_too_far(stored: int, size: int) -> bool:
    """Whether `stored` bytes claim to unpack into more, `size` bytes, than any weights do."""
    return size > max(_RATIO_MATTERS_FROM, _LARGEST_RATIO * stored)


def check_crc(file: FileMap, entry: ZipEntry) -> None:
    """Check the content of a stored entry, in place, against its CRC.

    Raises:
        CorruptFileError: when it is damaged.
    """
    content = file.view(entry.offset, (entry.size,), np.dtype(np.uint8), entry.name)
    if entry.crc not in (0, zlib.crc32(content.data)):
        raise _damaged(file.path, entry)


def _damaged(path: Path, entry: ZipEntry) -> CorruptFileError:
    return CorruptFileError(
        f"{shown(path)}: the content of zip entry {printable(entry.name)} does not match its checksum or "
        "size; it is damaged: copy or download it again"
    )
