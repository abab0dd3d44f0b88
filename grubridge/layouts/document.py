"""A layout as plain values, the ones that a TOML file and JSON both have; strictly checked.

`schema.json` beside this module says the same to editors, as far as a schema can.
"""

from __future__ import annotations

from typing import Any, get_args

from grubridge.errors import InvalidSpecError, LayoutError
from grubridge.files.plain_data import NUMBER, Key, PlainData, field_names
from grubridge.files.text import printable
from grubridge.spec import GATE_NAMES, Activation

from .description import WEIGHTS, CellLayout, Part, ResetMode, TensorLayout, UpdateSense

__all__ = ["from_json", "to_json"]

_ACTIVATIONS = ("gate_activation", "candidate_activation", "output_activation")
_data = PlainData(LayoutError)


def from_json(document: object) -> CellLayout:
    """Return the layout that plain values describe: `to_json`'s, or what a TOML file holds.

    Raises:
        LayoutError: when they describe none; `key` says where.
    """
    required = ("name", "about", "update", "reset", "tensors")
    table = _data.table(document, (), field_names(CellLayout), required)
    values: dict[str, Any] = {key: _data.typed(table[key], (key,), str) for key in ("name", "about")}
    values["update"] = _data.one_of(table["update"], ("update",), get_args(UpdateSense))
    values["reset"] = _data.one_of(table["reset"], ("reset",), get_args(ResetMode))
    tensors = _data.table(table["tensors"], ("tensors",))
    values["tensors"] = tuple(_tensor(name, value) for name, value in tensors.items())
    values |= {key: _activation(table[key], (key,)) for key in _ACTIVATIONS if key in table}
    if "time_major" in table:
        values["time_major"] = _data.typed(table["time_major"], ("time_major",), bool)
    if "directions" in table:
        key, both = "directions", ("forward", "backward")
        names = _data.table(table[key], (key,), both, both)
        values[key] = {name: _data.typed(names[name], (key, name), str) for name in both}
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
    known = field_names(TensorLayout) - {"name"}
    if (
        isinstance(value, dict)
        and not known & value.keys()
        and any(isinstance(v, dict) for v in value.values())
    ):
        raise LayoutError(
            "a name with dots in it must be quoted; TOML takes this for a table in a table", key
        )
    table = _data.table(value, key, known, ("holds",))
    values: dict[str, Any] = {
        "name": name,
        "holds": _data.some_of(table["holds"], (*key, "holds"), get_args(Part)),
    }
    if "gates" in table:
        values["gates"] = _data.some_of(table["gates"], (*key, "gates"), GATE_NAMES)
    holds_weights = any(part in WEIGHTS for part in values["holds"])
    if "rows" in table:
        if not holds_weights:
            raise LayoutError("only weights have rows", (*key, "rows"))
        values["rows"] = _data.one_of(table["rows"], (*key, "rows"), ("output", "input"))
    elif holds_weights:
        raise LayoutError(
            'rows is missing: "output" where the weight is [H, I] (y = W x), "input" where [I, H] (y = x W)',
            key,
        )
    values |= {
        flag: _data.typed(table[flag], (*key, flag), bool) for flag in ("flat", "optional") if flag in table
    }
    return TensorLayout(**values)


def _tensor_to_json(tensor: TensorLayout) -> dict[str, Any]:
    document: dict[str, Any] = {"holds": list(tensor.holds)}
    if tensor.gates:
        document["gates"] = list(tensor.gates)
    if tensor.is_weight:
        document["rows"] = tensor.rows
    return {**document, **{flag: True for flag in ("flat", "optional") if getattr(tensor, flag)}}


def _activation(value: object, key: Key) -> Activation:
    if isinstance(value, str):
        value = {"name": value}
    table = _data.table(value, key, field_names(Activation), ("name",))
    name = _data.typed(table["name"], (*key, "name"), str)
    numbers = {p: float(_data.typed(table[p], (*key, p), NUMBER)) for p in ("alpha", "beta") if p in table}
    try:
        return Activation(name, **numbers)
    except InvalidSpecError as error:
        raise LayoutError(printable(error, 400), key) from None


def _activation_to_json(activation: Activation) -> str | dict[str, Any]:
    numbers = {"alpha": activation.alpha, "beta": activation.beta}
    given = {parameter: value for parameter, value in numbers.items() if value is not None}
    return {"name": activation.name, **given} if given else activation.name
