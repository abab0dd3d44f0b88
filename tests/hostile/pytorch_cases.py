"""PyTorch checkpoints: pickles that would run something, and tensors that are not what they claim."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator

from .corner import EVIL, Case, Corner

__all__ = ["pickles", "records"]

_PICKLE = "archive/data.pkl"


def _entries(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def pickles(corner: Corner) -> Iterator[Case]:
    """Yield checkpoints with another pickle."""
    parts = _entries(corner.good["pt"])
    command, ran = _text(corner.command), "which belongs to no state dict"

    def one(name: str, program: bytes, told: str) -> Case:
        return Case(f"pickle_{name}.pt", _zipped({**parts, _PICKLE: b"\x80\4" + program + b"."}), told=told)

    yield one("system", b"cposix\nsystem\n(" + command + b"tR", ran)
    yield one("stack_global", _text("os") + _text("system") + b"\x93(" + command + b"tR", ran)
    yield one("eval", b"cbuiltins\neval\n(" + _text(f"open({str(corner.canary)!r}, 'w')") + b"tR", ran)
    yield one("inst", b"(" + command + b"ios\nsystem\n", "the instruction INST")
    yield one("obj", b"(cos\nsystem\n" + command + b"o", ran)
    yield one("newobj", b"ctorch.nn.modules.rnn\nGRU\n)\x81}b", ran)
    yield one("dotted", b"ctorch._utils\nos.system\n(" + command + b"tR", ran)
    yield one("extension", b"\x82\1", "the instruction EXT1")
    yield one("nested", b"}" + _text("x") + b"cos\nsystem\n(" + command + b"tRs", ran)
    yield one("build", b"ccollections\nOrderedDict\n)R(ios\nsystem\nb", "the instruction INST")
    yield one("underflow", b"s", "its pickle is damaged")
    yield one("no_such_memo", b"h\x63", "nothing was kept as number 99")
    yield one("claims_much", b"\x8d" + struct.pack("<Q", 1 << 60) + b"x", "its pickle is damaged")
    yield one("digits", b"L" + b"9" * 10**5 + b"L\n", "its pickle is damaged")
    yield one("deep", b"]" * 10**5 + b"a" * (10**5 - 1), "no GRU in it")
    yield one("itself", b"}\x94" + _text("a") + b"h\0s", "no GRU in it")
    doubling = b"".join(b"](h%ch%ce\x94" % (at, at) for at in range(60))
    yield one("doubling", b"]\x94" + doubling, "no GRU in it")
    class_of_file = pickle.dumps(_Runs(corner.command), 2)
    yield Case("pickle_bare.pt", class_of_file, told="")
    yield Case("pickle_reduce.pt", _zipped({**parts, _PICKLE: class_of_file}), told=ran)


class _Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (self.command,)


def records(corner: Corner) -> Iterator[Case]:
    """Yield checkpoints whose tensors or records are hostile."""
    parts = _entries(corner.good["pt"])
    program = parts[_PICKLE]

    def changed(name: str, old: bytes, new: bytes, told: str) -> Case:
        assert old in program, name
        content = program.replace(old, new, 1)
        return Case(f"tensor_{name}.pt", _zipped({**parts, _PICKLE: content}), told=told)

    most = 0x7FFFFFFF
    yield changed("size", _numbers(36), _numbers(most), "should hold 2147483647 values")
    yield changed("shape", _numbers(12, 3), _numbers(most, most), "no array can have")
    yield changed("negative", _numbers(12, 3), _numbers(-12, 3), "negative or no integer")
    yield changed("strides", _numbers(3, 1), _numbers(most, 1), "goes beyond the 36 values")
    yield changed("broadcast", _numbers(12, 3), _numbers(10**6, 10**6), "")
    yield changed("key", _text("0"), _text("../../../outside/secret.bin"), "no storage")
    yield changed("another_key", _text("0"), _text("77"), "found none")
    folder = "archive/data/"
    yield Case("record_short.pt", _zipped({**parts, f"{folder}0": bytes(4)}), told="found 4 bytes")
    nan = struct.pack("<f", float("nan")) * 36
    yield Case("record_nan.pt", _zipped({**parts, f"{folder}0": nan}), "warned")
    bomb = _zipped({**parts, f"{folder}99": bytes(20 << 20)}, zipfile.ZIP_DEFLATED)
    yield Case("record_bomb.pt", bomb, "either")
    big = _zipped({**parts, "archive/byteorder": b"big"})
    yield Case("record_order.pt", big, told="saved on a big-endian machine")
    script = _zipped({**parts, "archive/constants.pkl": b"\x80\2)."})
    yield Case("record_script.pt", script, told="this is a TorchScript archive")
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        program = program.replace(_text(name), _text(f"{EVIL}.{name}"))
    yield Case("name.pt", _zipped({**parts, _PICKLE: program}), "read")


def _numbers(*numbers: int) -> bytes:
    return b"".join(b"J" + struct.pack("<i", number) for number in numbers)
