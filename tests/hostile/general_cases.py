"""What can happen to any file: cut off, changed, empty, of another kind; and headers of safetensors."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

from .corner import EVIL, Case, Corner

__all__ = ["general", "safetensors"]

_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 99999\n"


def general(corner: Corner) -> Iterator[Case]:
    """Yield the cases."""
    for ending, whole in corner.good.items():
        yield Case(f"whole.{ending}", whole, "read")
        yield Case(f"empty.{ending}", b"", told="the file is empty")
        yield Case(f"pointer.{ending}", _LFS, told="this is a Git LFS pointer")
        for part in (2, 3):
            yield Case(f"first_half_{part}.{ending}", whole[: len(whole) * (part - 1) // part])
        for seed in range(4):
            yield Case(f"flipped_{seed}.{ending}", _flipped(whole, seed), "either")
    yield Case("is_onnx.pt", corner.good["onnx"], "either")
    yield Case("is_hdf5.onnx", corner.good["weights.h5"], "either")
    yield Case("folder.keras", Path.mkdir, told="received a folder")
    yield Case("pipe.onnx", os.mkfifo, told="received a device, pipe or socket")
    yield Case("circle.h5", lambda path: path.symlink_to(path.name), told="cannot be opened")


def _flipped(whole: bytes, seed: int) -> bytes:
    rng, changed = Random(seed), bytearray(whole)  # noqa: S311 - to be had again
    for _ in range(1 + 6 * (seed % 2)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def safetensors(corner: Corner) -> Iterator[Case]:
    """Yield the cases of headers."""

    def one(name: str, header: object, told: str, data: bytes = bytes(8), size: int | None = None) -> Case:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        length = struct.pack("<Q", len(text) if size is None else size)
        return Case(f"header_{name}.safetensors", length + text + data, told=told)

    def tensor(shape: list[object], begin: object, end: object, dtype: str = "F32") -> dict[str, object]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    yield one("claims_much", b"{}", "its header should have", size=1 << 62)
    yield one("no_json", b"{a: b}", "not a model file|expected JSON")
    yield one("nan", b'{"a": NaN}', "NaN is no JSON number")
    yield one("twice", b'{"a": {}, "a": {}}', "the key 'a' is there twice")
    yield one("deep", b'{"a": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nested more than 200 levels")
    yield one("overlap", {"a": tensor([2], 0, 8), "b": tensor([1], 4, 8)}, "should begin at byte 8")
    yield one("hole", {"a": tensor([1], 4, 8)}, "should begin at byte 0")
    yield one("negative", {"a": tensor([-2], 0, 8)}, "whole, non-negative")
    yield one("backwards", {"a": tensor([2], 8, 0)}, "")
    yield one("digits", {"a": tensor([10**99, 10**99], 0, 8)}, "whole, non-negative")
    yield one("axes", {"a": tensor([1 << 62] * 9000, 0, 8)}, "that an array can have")
    yield one("fraction", {"a": tensor([2.0], 0, 8)}, "whole, non-negative")
    yield one("true", {"a": tensor([True], 0, 4)}, "whole, non-negative", data=bytes(4))
    yield one("past_the_end", {"a": tensor([4], 0, 16)}, "should end at byte")
    yield one("too_long", {"a": tensor([1], 0, 4)}, "should end at byte")
    yield one("overflow", {"a": tensor([1 << 32, 1 << 32], 0, 8)}, "that an array can have")
    whole = corner.good["safetensors"]
    size = int.from_bytes(whole[:8], "little")
    names = whole[8 : 8 + size].replace(b'"weight_', json.dumps(EVIL)[:-1].encode() + b".weight_")
    names = names.replace(b'"bias_', json.dumps(EVIL)[:-1].encode() + b".bias_")
    yield Case("name.safetensors", struct.pack("<Q", len(names)) + names + whole[8 + size :], "read")
