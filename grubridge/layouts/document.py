"""A layout as plain values, the ones that a TOML file and JSON both have; strictly checked.

`schema.json` beside this module says the same to editors, as far as a schema can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args

from grubridge.errors import InvalidSpecError, LayoutError
from grubridge.files.text import nearest, printable
from grubridge.spec import GATE_NAMES, Activation

from .description import WEIGHTS, CellLayout, Part, ResetMode, TensorLayout, UpdateSense

__all__ = ["from_json", "to_json"]

_Key = tuple[str, ...]
_ACTIVATIONS = ("gate_activation", "candidate_activation", "output_activation")
_NUMBER = (int, float)
_KINDS: dict[type | tuple[type, ...], str] = {str: "text", bool: "true or false", _NUMBER: "a number"}


def from_json(document: object) -> CellLayout:
    """Return the layout that plain values describe: `to_json`'s, or what a TOML file holds.

    Raises:
        LayoutError: when they describe none; `key` says where.
    """
    required = ("name", "about", "update", "reset", "tensors")
    table = _table(document, (), _names(CellLayout), required)
    values: dict[str, Any] = {key: _typed(table[key], (key,), str) for key in ("name", "about")}
    values["update"] = _one_of(table["update"], ("update",), get_args(UpdateSense))
    values["reset"] = _one_of(table["reset"], ("reset",), get_args(ResetMode))
    tensors = _table(table["tensors"], ("tensors",))
    values["tensors"] = tuple(_tensor(name, value) for name, value in tensors.items())
    values |= {key: _activation(table[key], (key,)) for key in _ACTIVATIONS if key in table}
    if "time_major" in table:
        values["time_major"] = _typed(table["time_major"], ("time_major",), bool)
    if "directions" in table:
        key, both = "directions", ("forward", "backward")
        names = _table(table[key], (key,), both, both)
        values[key] = {name: _typed(names[name], (key, name), str) for name in both}
        if not any("{direction}" in name for name in tensors):
            raise LayoutError("no tensor's name has {direction} in it", (key,))
    return CellLayout(**values)


def to_json(layout: CellLayout) -> dict[str, Any]:
    """Return a layout as plain values that `from_json` takes; what is usual is left out."""
    usual = CellLayout(layout.name, layout.about, layout.update, layout.reset, layout.tensors)
    document: dict[str, Any] = {key: getattr(layout, key) for key in ("name", "about", "update", "reset")}
    for key in _ACTIVATIONS:
        if getattr(layout, key) != getattr(usual, key):
            document[key] = _activation_to_json(getattr(layout, key))
    if layout.time_major:
        document["time_major"] = True
    if layout.directions != usual.directions:
        document["directions"] = dict(layout.directions)
    document["tensors"] = {tensor.name: _tensor_to_json(tensor) for tensor in layout.tensors}
    return document


def _tensor(name: str, value: object) -> TensorLayout:
    key = ("tensors", name)
    known = _names(TensorLayout) - {"name"}
    if (
        isinstance(value, dict)
        and not known & value.keys()
        and any(isinstance(v, dict) for v in value.values())
    ):
        raise LayoutError(
            "a name with dots in it must be quoted; TOML takes this for a table in a table", key
        )
    table = _table(value, key, known, ("holds",))
    values: dict[str, Any] = {
        "name": name,
        "holds": _some_of(table["holds"], (*key, "holds"), get_args(Part)),
    }
    if "gates" in table:
        values["gates"] = _some_of(table["gates"], (*key, "gates"), GATE_NAMES)
    holds_weights = any(part in WEIGHTS for part in values["holds"])
    if "rows" in table:
        if not holds_weights:
            raise LayoutError("only weights have rows", (*key, "rows"))
        values["rows"] = _one_of(table["rows"], (*key, "rows"), ("output", "input"))
    elif holds_weights:
        raise LayoutError(
            'rows is missing: "output" where the weight is [H, I] (y = W x), "input" where [I, H] (y = x W)',
            key,
        )
    values |= {
        flag: _typed(table[flag], (*key, flag), bool) for flag in ("flat", "optional") if flag in table
    }
    return TensorLayout(**values)


def _tensor_to_json(tensor: TensorLayout) -> dict[str, Any]:
    document: dict[str, Any] = {"holds": list(tensor.holds)}
    if tensor.gates:
        document["gates"] = list(tensor.gates)
    if tensor.is_weight:
        document["rows"] = tensor.rows
    return {**document, **{flag: True for flag in ("flat", "optional") if getattr(tensor, flag)}}


def _activation(value: object, key: _Key) -> Activation:
    if isinstance(value, str):
        value = {"name": value}
    table = _table(value, key, _names(Activation), ("name",))
    name = _typed(table["name"], (*key, "name"), str)
    numbers = {p: float(_typed(table[p], (*key, p), _NUMBER)) for p in ("alpha", "beta") if p in table}
    try:
        return Activation(name, **numbers)
    except InvalidSpecError as error:
        raise LayoutError(printable(error, 400), key) from None


def _activation_to_json(activation: Activation) -> str | dict[str, Any]:
    numbers = {"alpha": activation.alpha, "beta": activation.beta}
    given = {parameter: value for parameter, value in numbers.items() if value is not None}
    return {"name": activation.name, **given} if given else activation.name


def _names(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


def _table(
    value: object, key: _Key, known: Iterable[str] | None = None, required: Iterable[str] = ()
) -> Mapping[str, Any]:
    """Return a table whose keys are among `known`, any where that is None, and hold all of `required`."""
    if not isinstance(value, dict):
        raise LayoutError(f"expected a table; received {_received(value)}", key)
    for name in value:
        if known is not None and name not in known:
            raise LayoutError(
                f"unknown key.{nearest(str(name), known)} Known: {', '.join(sorted(known))}",
                (*key, str(name)),
            )
    for name in required:
        if name not in value:
            raise LayoutError(f"{name} is missing", key)
    return value


def _typed(value: object, key: _Key, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - any of _KINDS
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise LayoutError(f"expected {_KINDS[kind]}; received {_received(value)}", key)
    return value


def _one_of(value: object, key: _Key, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        guess = nearest(value, allowed) if isinstance(value, str) else ""
        raise LayoutError(f"expected one of {', '.join(allowed)}; received {_received(value)}.{guess}", key)
    return value


def _some_of(value: object, key: _Key, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return a list's members; a text stands for a list of one."""
    members = value if isinstance(value, list) else [value]
    return tuple(_one_of(member, key, allowed) for member in members)


def _received(value: object) -> str:
    return f"the {type(value).__name__} {printable(repr(value), 60)}"
