"""Pickles read as data: plain values as pickle itself reads them, and nothing else without a meaning."""

import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files import pickles
from grubridge.files.pickles import ForbiddenGlobalError, Unused, read_pickle

SHARED: list[object] = ["one", 2]
PLAIN: dict[str, object] = {
    "numbers": [0, 1, 255, 256, 70_000, -5, 2**40, -(2**70), 1.5, float("inf")],
    "text": ("", "größe", "x" * 300),
    "bytes": [b"", b"\x00\xff", bytes(300)],
    "constants": (None, True, False),
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "nested": {"a": {"b": {3: [], None: {}}}},
    "shared": [SHARED, SHARED],
}
MEANINGS: dict[tuple[object, object], object] = {
    ("collections", "OrderedDict"): dict,
    ("builtins", "complex"): lambda *_: Unused(),
    ("torch", "FloatStorage"): "float32",
}


def _read(data: bytes) -> Any:
    return read_pickle(data, "model.pt", MEANINGS, lambda identifier: ("found", identifier))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_values_are_what_pickle_reads(protocol: int) -> None:
    data = pickle.dumps(PLAIN, protocol)

    assert _read(data) == PLAIN
    assert _read(pickletools.optimize(data)) == PLAIN


def test_protocol_2_is_read_too() -> None:
    without_bytes = {key: value for key, value in PLAIN.items() if key != "bytes"}

    assert _read(pickle.dumps(without_bytes, 2)) == without_bytes


def test_what_is_shared_stays_shared() -> None:
    one, other = _read(pickle.dumps(PLAIN, 4))["shared"]

    assert one is other


def test_a_global_is_what_its_meaning_returns() -> None:
    assert _read(pickle.dumps(OrderedDict(a=1, b=[2]), 2)) == {"a": 1, "b": [2]}
    assert isinstance(_read(pickle.dumps([1j], 4))[0], Unused)


def test_attributes_of_a_dict_are_passed_over() -> None:
    ordered = OrderedDict(a=1)
    ordered.note = "x"  # type: ignore[attr-defined]

    assert _read(pickle.dumps(ordered, 2)) == {"a": 1}


def test_a_persistent_id_is_what_the_caller_finds() -> None:
    assert _read(b"\x80\x02K\x07Q.") == ("found", 7)


def test_a_key_that_is_no_plain_value_is_dropped() -> None:
    assert _read(pickle.dumps({(1, 2): "a", "b": 3}, 4)) == {"b": 3}


class _Attack:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.canary,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_global_without_meaning_is_refused_and_not_called(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps({"a": _Attack(tmp_path / "canary")}, protocol)

    with pytest.raises(ForbiddenGlobalError):
        _read(data)

    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n.", "os.system"),
        (b"ccollections\nabc.sys\n.", "collections.abc.sys"),
        (b"\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (b"(ios\nsystem\n.", "the instruction INST"),
        (b"(ccollections\nOrderedDict\no.", "the instruction OBJ"),
        (b"\x82\x01.", "the instruction EXT1"),
        (b"Pname\n.", "the instruction PERSID"),
    ],
)
def test_what_is_refused_is_named(data: bytes, name: str) -> None:
    with pytest.raises(ForbiddenGlobalError) as error:
        _read(data)

    assert str(error.value) == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "pickle exhausted before seeing STOP"),
        (b"K\x01", "pickle exhausted before seeing STOP"),
        (b".", "pop from empty list"),
        (b"(.", "a mark where a value should be"),
        (b"h\x07.", "nothing was kept as number 7"),
        (b"]K\x01K\x02s.", "expected a dict to change; received list"),
        (b"K\x01K\x02a.", "expected a list to change; received int"),
        (b"K\x01}b.", "expected a dict to change; received int"),
        (b"X\x01\0\0\0a)R.", "a call of str"),
        (b"ctorch\nFloatStorage\n)R.", "a call of Global"),
        (b"ccollections\nOrderedDict\n]R.", "a call with list"),
        (b"ccollections\nOrderedDict\nK\x05\x85R.", "'int' object is not iterable"),
        (b"\x8b\xff\xff\xff\x7f.", "not enough data in stream"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "bytes in a unicodestring8, but only"),
    ],
)
def test_a_damaged_pickle_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=f"model.pt: its pickle is damaged at byte .*{message}"):
        _read(data)


def test_values_nested_without_end_take_no_stack() -> None:
    assert isinstance(_read(b"]" * 100_000 + b"a" * 99_999 + b"."), list)
    assert isinstance(_read(b")" + b"\x85" * 100_000 + b"."), tuple)


def test_a_pickle_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "_MOST_OPCODES", 1000)

    with pytest.raises(UnsafeFileError, match="its pickle has more than 1,000 instructions"):
        _read(b"N0" * 600 + b".")
