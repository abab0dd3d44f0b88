"""Indexed PNG pictures, a colour to a number: small, and drawn without any library.

Source: the PNG specification, third edition, sections 5 (chunks), 9 (filters) and 11 (IHDR, PLTE, IDAT).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from grubridge.spec import Array

__all__ = ["data_uri", "indexed_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3


def indexed_png(pixels: Array, palette: Sequence[tuple[int, int, int]]) -> bytes:
    """Return a PNG file.

    Args:
        pixels: [height, width] uint8, indices into the palette.
        palette: up to 256 colours.
    """
    height, width = pixels.shape
    unfiltered = np.zeros((height, width + 1), np.uint8)  # a 0 begins each line: it is not filtered
    unfiltered[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    colours = bytes(level for colour in palette for level in colour)
    body = zlib.compress(unfiltered.tobytes(), 9)
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", body), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(png: bytes) -> str:
    """Return what an <img> takes as its source."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
