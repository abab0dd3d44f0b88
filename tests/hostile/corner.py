"""A folder of files to be read, something secret beside it, and what a payload would do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import grubridge
from tests.zoo import make_spec

__all__ = ["EVIL", "SECRET", "Case", "Corner", "Expected"]

Expected = Literal["refused", "read", "warned", "either", "beside"]
"""What becomes of a file; "beside" is one that others lead to."""

SECRET = np.random.default_rng(20).uniform(1, 2, 64).astype("<f4").tobytes().replace(b"\0", b"\1")
SECRET = bytes(byte & 0x7F | 0x20 for byte in SECRET)
"""Bytes that are text too, and numbers that no case holds."""

EVIL = "gru\x1b[31m\x1b]0;mine\x07\r\nOK\u202e\u200b<b>|`"
"""A name that would paint, erase and reorder a terminal."""


@dataclass(frozen=True)
class Case:
    """A broken or malicious file.

    Args:
        name: of the file.
        content: its bytes; or a function that makes something else at the path.
        expected: what becomes of it.
        told: words of the message, where it is refused.
    """

    name: str
    content: bytes | Callable[[Path], object]
    expected: Expected = "refused"
    told: str = ""


class Corner:
    """The folders, and a small GRU in every format.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.home, self.outside = root / "files", root / "outside"
        self.home.mkdir()
        self.outside.mkdir()
        (self.outside / "secret.bin").write_bytes(SECRET)
        self.canary = root / "CANARY"
        self.command = f"touch {self.canary}"
        spec = make_spec("gru", sizes=(3, 4), seed=7)
        self.good: dict[str, bytes] = {}
        for ending in ("keras", "weights.h5", "pt", "safetensors", "onnx"):
            path = root / f"good.{ending}"
            grubridge.write(spec, path)
            self.good[ending] = path.read_bytes()
            path.unlink()

    def secret(self) -> str:
        """Return the path of what must not be read."""
        return str(self.outside / "secret.bin")

    def make(self, cases: Sequence[Case]) -> None:
        """Make the files."""
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
        for case in cases:
            path = self.home / case.name
            if callable(case.content):
                case.content(path)
            else:
                path.write_bytes(case.content)
