"""The sha256 of a file, for provenance."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["LARGEST_HASHED", "sha256"]

LARGEST_HASHED = 256 << 20
"""Files above this are not hashed by `convert`: at 1 GiB the hash alone takes longer than the conversion."""

_PIECE = 1 << 20


def sha256(path: Path) -> str:
    """Return the sha256 of the file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
