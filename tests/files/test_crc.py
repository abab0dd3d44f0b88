"""CRC-32 of a whole from its parts, against zlib."""

import zlib

import pytest

from grubridge.files.crc import combine

DATA = bytes((i * 167 + (i >> 8) * 31) % 256 for i in range(70_000))


@pytest.mark.parametrize("cut", [0, 1, 7, 4096, 69_999, 70_000])
def test_two_parts_make_the_whole(cut: int) -> None:
    first, second = zlib.crc32(DATA[:cut]), zlib.crc32(DATA[cut:])

    assert combine(first, second, len(DATA) - cut) == zlib.crc32(DATA)


def test_many_parts_make_the_whole() -> None:
    total = 0
    for start in range(0, len(DATA), 999):
        part = DATA[start : start + 999]
        total = combine(total, zlib.crc32(part), len(part))

    assert total == zlib.crc32(DATA)
