"""Mutations of what containers hold: JSON, pickles, protobuf and text stay such, and say other things."""

from __future__ import annotations

import json
import pickletools
import re
import struct
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

__all__ = ["any_bytes", "json_tree", "pickle", "protobuf", "text"]

_NUMBERS = (0, 1, -1, 2, 3, 4, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, 2**64, 10**30)
_WORDS = """
    0 -1 .. ../outside/secret.bin /etc/passwd a/b GRU GRUCell CuDNNGRU RNN Bidirectional StackedRNNCells
    Lambda TimeDistributed Functional Sequential InputLayer LSTM __lambda__ os.system builtins keras tanh
    sigmoid relu hard_sigmoid linear name layers config class_name F32 BF16 F8_E4M3 update reset candidate
    1e400 nan W forward reverse bidirectional
"""
_TEXTS = ("", "a\0b", "\ud800", "\x1b[31m", "\u202e", "\n", "x" * 5000, *_WORDS.split())
_ODD: tuple[Any, ...] = (None, True, False, 0.5, -0.0, 1e308, 1e-320, [], {}, [[]], [{}], *_NUMBERS, *_TEXTS)
_GLOBALS = (
    b"collections\nOrderedDict", b"torch._utils\n_rebuild_tensor_v2", b"torch._utils\n_rebuild_parameter",
    b"torch\nFloatStorage", b"torch\nSize", b"os\nsystem",
)  # fmt: skip
_OPCODES = (
    *(bytes([opcode]) for opcode in b"N}])(.01RbsuaetQ\x85\x86\x87\x94\x93\x81\x92\x8f\x90\x91\x88"),
    b"h\0", b"q\0", b"q\1", b"h\1", b"K\xff", b"J\xff\xff\xff\xff", b"\x80\x04", b"X\1\0\0\x000", b"I1\n",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"G\x7f\xf0" + bytes(6), b"B\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f",
    b"\x8d" + b"\xff" * 7 + b"\x7f", b"\x95" + b"\xff" * 8, *(b"c" + name + b"\n" for name in _GLOBALS),
)  # fmt: skip


def any_bytes(data: bytes, rng: Random) -> bytes:
    """Change, insert, remove or repeat a few bytes."""
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        size = rng.choice((1, 2, 4, 8, 16))
        odd = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size, _packed(rng)))
        match rng.randrange(4):
            case 0:
                changed[at : at + len(odd)] = odd
            case 1:
                changed[at:at] = odd
            case 2:
                del changed[at : at + size]
            case _:
                changed[at:at] = changed[at : at + 4 * size]
    return bytes(changed)


def _packed(rng: Random) -> bytes:
    size, number = rng.choice((2, 4, 8)), rng.choice(_NUMBERS)
    little: bytes = (number % 256**size).to_bytes(size, "little")
    return little if rng.random() < 0.5 else little[::-1]


def json_tree(data: bytes, rng: Random) -> bytes:
    """Change one to three values, keys or members of a JSON document; of what is none, bytes."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return any_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        holder = {"": document}
        container, key = rng.choice(list(_members(holder)))
        _change(container, key, rng)
        document = holder.get("", deepcopy(rng.choice(_ODD)))
    return json.dumps(document, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")


def _members(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON values
    left = [value]
    while left:
        container = left.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            yield container, key
            if isinstance(container[key], (dict, list)):
                left.append(container[key])


def _change(container: Any, key: Any, rng: Random) -> None:  # noqa: ANN401 - JSON values
    value = container[key]
    match rng.randrange(6):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[rng.choice(_TEXTS)] = value
        case 1:
            container.insert(key, value)
        case 2 if isinstance(value, (int, float)):
            container[key] = value + rng.choice((-1, 1, 4, 2**32, -value, 0.5))
        case 2 if isinstance(value, str):
            container[key] = text(value.encode("utf-8", "replace"), rng).decode("utf-8", "replace")
        case 3:
            container[key] = rng.choice(([value], {"config": value}, [value, value], [0] * 300))
        case 4:
            container[key] = _nested(value, rng.choice((3, 40, 300)))
        case _:
            container[key] = deepcopy(rng.choice(_ODD))


def _nested(value: object, depth: int) -> object:
    for _ in range(depth):
        value = [value]
    return value


def pickle(data: bytes, rng: Random) -> bytes:
    """Exchange, repeat, remove or insert instructions of a pickle; of what is none, bytes."""
    try:
        starts = [at or 0 for _, _, at in pickletools.genops(data)]
    except Exception:  # noqa: BLE001 - the decoder of a damaged pickle raises anything
        return any_bytes(data, rng)
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(5):
            case 0:
                parts.insert(at, parts[other])
            case 1 if len(parts) > 1:
                del parts[at]
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts.insert(at, rng.choice(_OPCODES))
            case _:
                parts[at] = parts[at][:1] + any_bytes(parts[at][1:], rng)
    return b"".join(parts)


def text(data: bytes, rng: Random) -> bytes:
    """Exchange, repeat, remove or replace words and lines of a text."""
    cut = rng.choice((rb"(\n)", rb"(\W)", rb"(=)"))
    parts = re.split(cut, data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(5):
            case 0:
                parts.insert(at, parts[other])
            case 1 if len(parts) > 1:
                del parts[at]
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts[at] = str(rng.choice(_ODD)).encode("utf-8", "surrogatepass")
            case _:
                parts[at] = any_bytes(parts[at], rng)
    return b"".join(parts)


def protobuf(data: bytes, rng: Random) -> bytes:
    """Change fields of a protobuf message, at any depth, all lengths around them kept right."""
    fields = _fields(data)
    if not fields:
        return any_bytes(data, rng)
    at, other = rng.randrange(len(fields)), rng.randrange(len(fields))
    number, wire, content = fields[at]
    if wire == 2 and rng.random() < 0.85:
        fields[at] = number, wire, protobuf(content, rng) if _fields(content) else _leaf(content, rng)
    else:
        match rng.randrange(5):
            case 0:
                fields.insert(other, fields[at])
            case 1:
                del fields[at]
            case 2:
                fields[at], fields[other] = fields[other], fields[at]
            case 3:
                fields[at] = rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14, 20, 25)), wire, content
            case _:
                fields[at] = number, wire, _leaf(content, rng) if wire == 2 else _scalar(wire, rng)
    return b"".join(_encoded(*field) for field in fields)


def _leaf(content: bytes, rng: Random) -> bytes:
    odd = rng.choice(_TEXTS).encode("utf-8", "surrogatepass")
    return rng.choice((any_bytes(content, rng), text(content, rng), odd, content[: len(content) // 2]))


def _scalar(wire: int, rng: Random) -> bytes:
    if wire == 0:
        return _varint(rng.choice(_NUMBERS) % 2**64)
    return rng.choice((rng.randbytes(8), struct.pack("<d", float("nan"))))[: 8 if wire == 1 else 4]


def _fields(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return (number, wire type, content) of every field; none where the bytes are no message."""
    fields, at = [], 0
    while at < len(data):
        key, at = _decoded(data, at)
        wire, start = key & 7, at
        if wire == 0:
            _, at = _decoded(data, at)
        elif wire == 2:
            size, start = _decoded(data, at)
            at = start + size
        elif wire in {1, 5}:
            at += 8 if wire == 1 else 4
        else:
            return []
        if not key >> 3 or at > len(data):
            return []
        fields.append((key >> 3, wire, data[start:at]))
    return fields


def _decoded(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7
    return 0, len(data) + 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _encoded(number: int, wire: int, content: bytes) -> bytes:
    size = _varint(len(content)) if wire == 2 else b""
    return _varint(number << 3 | wire) + size + content
