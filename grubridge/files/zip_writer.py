"""A zip archive of stored entries whose places are known before their content.

The standard library writes an entry from its start to its end. Here the layout comes first, so that large
entries can be streamed to their places in any order. Layout: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from .strips import write_at

__all__ = ["ZipWriter"]

_LARGEST_32 = 0xFFFFFFFF  # from here on a number goes to a 64-bit field
_LARGEST_16 = 0xFFFF
_LOCAL_HEADER_SIZE = 30
_MIDNIGHT, _FIRST_DAY = 0, 0x21  # 1980-01-01: equal content gives equal files
_STORED = 0
_UTF8 = 0x800


@dataclass
class _Entry:
    """An entry of the archive; `crc` is None until its content is known."""

    name: bytes
    header_offset: int
    size: int
    extra: bytes
    crc: int | None = None

    @property
    def offset(self) -> int:
        """Where its data starts."""
        return self.header_offset + _LOCAL_HEADER_SIZE + len(self.name) + len(self.extra)

    def local_header(self) -> bytes:
        """What stands in front of its data."""
        return b"PK\3\4" + self._fields(self.size >= _LARGEST_32, self.extra) + self.name + self.extra

    def directory_record(self) -> bytes:
        """What the directory says about it."""
        wide = max(self.size, self.header_offset) >= _LARGEST_32
        extra = struct.pack("<HHQQQ", 1, 24, self.size, self.size, self.header_offset) if wide else b""
        offset = _LARGEST_32 if wide else self.header_offset
        made_by, tail = struct.pack("<H", 45), struct.pack("<HHHII", 0, 0, 0, 0, offset)
        return b"PK\1\2" + made_by + self._fields(wide, extra) + tail + self.name + extra

    def _fields(self, wide: bool, extra: bytes) -> bytes:  # noqa: FBT001
        """The fields that both have in common, from the version needed to the length of the extra field."""
        if self.crc is None:
            raise ValueError(f"zip entry {self.name.decode()} was reserved, but its CRC was never set")
        version, flags = (45 if wide else 20), (0 if self.name.isascii() else _UTF8)
        size = _LARGEST_32 if wide else self.size
        when, lengths = (_MIDNIGHT, _FIRST_DAY), (len(self.name), len(extra))
        return struct.pack("<5H3I2H", version, flags, _STORED, *when, self.crc, size, size, *lengths)


class ZipWriter:
    """Lays out the entries of a new zip archive.

    `reserve` or `put` every entry, write the content of the reserved ones, `set_crc` them, `finish`.
    """

    def __init__(self, file: int) -> None:
        """Lay out an archive in the new file of descriptor `file`."""
        self._file = file
        self._entries: dict[str, _Entry] = {}
        self._end = 0

    def reserve(self, name: str, size: int, align: int = 1) -> int:
        """Reserve room for the `size` bytes of entry `name`.

        Returns:
            The file offset of its data, a multiple of `align` (at most 32768).
        """
        extra = struct.pack("<HHQQ", 1, 16, size, size) if size >= _LARGEST_32 else b""
        entry = _Entry(name.encode(), self._end, size, extra)
        if entry.offset % align:
            # padding is an extra field itself, with a header of four bytes
            padding = -(entry.offset + 4) % align
            entry.extra += struct.pack("<2sH", b"FB", padding) + bytes(padding)
        self._entries[name] = entry
        self._end = entry.offset + size
        return entry.offset

    def put(self, name: str, data: bytes, align: int = 1) -> None:
        """Write the whole entry `name`."""
        write_at(self._file, data, self.reserve(name, len(data), align))
        self.set_crc(name, zlib.crc32(data))

    def set_crc(self, name: str, crc: int) -> None:
        """Set the CRC-32 of the content of a reserved entry."""
        self._entries[name].crc = crc

    def finish(self) -> None:
        """Write the headers and the directory."""
        for entry in self._entries.values():
            write_at(self._file, entry.local_header(), entry.header_offset)
        directory = b"".join(entry.directory_record() for entry in self._entries.values())
        write_at(self._file, directory + self._end_records(len(directory)), self._end)

    def _end_records(self, directory_size: int) -> bytes:
        count, start = len(self._entries), self._end
        records = b""
        if count >= _LARGEST_16 or start >= _LARGEST_32:
            wide = (44, 45, 45, 0, 0, count, count, directory_size, start)
            records += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", *wide)
            records += struct.pack("<4sIQI", b"PK\6\7", 0, start + directory_size, 1)
        count, start = min(count, _LARGEST_16), min(start, _LARGEST_32)
        return records + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, directory_size, start, 0)
