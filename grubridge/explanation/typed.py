"""Weights that a person typed or printed, by the names of a layout and nested as it stores them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.files.json_data import LARGEST_JSON, parse_json
from grubridge.files.opening import check_budget, check_openable, shown
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import listed, printable
from grubridge.formats.base import ReadHints
from grubridge.formats.keras.activations import activation
from grubridge.formats.keras.assumed import meaning
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.layouts.finding import FoundStack, find, of_place
from grubridge.layouts.toml import load
from grubridge.spec import Array, GRUDirection, GRULayer, GRUSpec, Source, StackIO

from .storage import keras_layout

__all__ = ["TypedWeights", "is_typed", "typed_weights"]

_SETTINGS = ("activation", "recurrent_activation", "reset_after")
_EXPECTED = (
    "expected Keras's kernel, recurrent_kernel and bias, PyTorch's weight_ih_l0, weight_hh_l0, bias_ih_l0 "
    "and bias_hh_l0, or with --layout the names that it has"
)


@dataclass(frozen=True)
class TypedWeights:
    """A GRU out of typed weights.

    Args:
        label: the file, or "typed weights".
        spec: in float64, so that the decimals are taken as they are.
        layout: by which they were read.
        notes: what was assumed.
    """

    label: str
    spec: GRUSpec
    layout: CellLayout
    notes: tuple[str, ...]


def is_typed(model: str | Path | Mapping[str, object]) -> bool:
    """Whether `model` is typed weights rather than a framework's file."""
    return isinstance(model, Mapping) or Path(model).suffix.lower() == ".json"


def typed_weights(source: str | Path | Mapping[str, object], hints: ReadHints) -> TypedWeights:
    """Read typed weights.

    Args:
        source: a mapping, or the path of a .json file that holds one: name -> numbers, nested as the
            framework has them; where H and I are 1 brackets may be left out. A prefix that all names share
            does not matter. Beside them may stand activation, recurrent_activation (Keras's names) and
            reset_after.
        hints: the same settings, which these answer, and the layout.

    Raises:
        FileFormatError: when the file cannot be read or is not JSON.
        LayoutError: when there is no such layout.
        InvalidSpecError: when the numbers are no GRU's, or do not say all that they have to.
    """
    if isinstance(source, Mapping):
        label, document = "typed weights", source
    else:
        label, document = shown(source), _document(Path(source))
    try:
        return _read(label, document, hints)
    except InvalidSpecError as error:
        raise InvalidSpecError(f"{label}: {error}") from error


def _document(path: Path) -> Mapping[str, object]:
    check_budget(path, check_openable(path), "the JSON text", LARGEST_JSON)
    document = parse_json(path.read_bytes(), shown(path))
    if not isinstance(document, dict):
        raise InvalidSpecError(f"{shown(path)}: {_EXPECTED}; received no mapping of names to numbers")
    return document


def _read(label: str, document: Mapping[str, object], hints: ReadHints) -> TypedWeights:
    arrays = {
        str(name): _numbers(str(name), value) for name, value in document.items() if name not in _SETTINGS
    }
    settings = _settings(document, hints)
    layout = _layout(arrays, settings)
    stack = _only(find(layout, arrays), layout, arrays)
    stored: dict[str, StoredTensor] = {}
    for number, direction in stack.places:
        for tensor in of_place(layout, number, direction).tensors:
            name = stack.prefix + tensor.name
            if name in arrays:
                array = _nested(tensor, arrays[name])
                stored[name] = StoredTensor(array.shape, array.dtype.name, partial(np.asarray, array))
    layers = tuple(_activated(layer, settings) for layer in stack.read(stored))
    notes: tuple[str, ...] = ()
    if (settings.activation, settings.recurrent_activation) == (None, None):
        own = f"{layout.gate_activation} for the gates and {layout.candidate_activation} for the candidate"
        notes = (f"weights alone do not say activations: assumed {own}",)
    wiring = StackIO(time_major=layout.time_major, output_activation=layout.output_activation)
    source = Source(label, "typed", "gru", notes=notes)
    return TypedWeights(label, GRUSpec(layers, "gru", wiring, source), layout, notes)


def _only(stacks: Sequence[FoundStack], layout: CellLayout, arrays: Mapping[str, Array]) -> FoundStack:
    """Return the only GRU among the arrays; every one of them must be part of it."""
    claimed = {name for stack in stacks for name in stack.claimed()}
    foreign = [name for name in arrays if name not in claimed]
    if not stacks or foreign:
        names = ", ".join(tensor.name for tensor in layout.tensors)
        raise InvalidSpecError(
            f"{listed(foreign)}: no part of a GRU in the layout {printable(layout.name)}, which has "
            f"{printable(names, 400)}"
        )
    if len(stacks) > 1:
        prefixes = listed([stack.prefix for stack in stacks])
        raise InvalidSpecError(f"the weights of {len(stacks)} GRUs, {prefixes}; keep those of one")
    return stacks[0]


def _numbers(name: str, value: object) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "iuf" or not array.size or not np.isfinite(array).all():
        raise InvalidSpecError(
            f"{printable(name)} must be numbers in nested lists, every row as long as the others; if it is "
            f"no part of the weights, leave it out: {_EXPECTED}"
        )
    return array.astype(np.float64)


def _settings(document: Mapping[str, object], hints: ReadHints) -> ReadHints:
    for name in _SETTINGS:
        said, hinted = document.get(name), getattr(hints, name)
        if said is None:
            continue
        kind = bool if name == "reset_after" else str
        if not isinstance(said, kind):
            wanted = "true or false" if kind is bool else "a name such as sigmoid"
            raise InvalidSpecError(f"{name} must be {wanted}; received {printable(repr(said))}")
        if hinted not in (None, said):
            raise InvalidSpecError(
                f"{name} is {said} there, and the option says {hinted}; leave one of them out"
            )
        hints = replace(hints, **{name: said})  # type: ignore[arg-type]  # the kind has been looked at
    return hints


def _layout(arrays: Mapping[str, Array], settings: ReadHints) -> CellLayout:
    """Return the layout that was asked for, or the one whose names these are."""
    last = {re.split(r"[./]", name)[-1]: array for name, array in arrays.items()}
    if settings.layout is None and {"kernel", "recurrent_kernel"} <= last.keys():
        bias = last.get("bias")
        shown_by_bias = None if bias is None else bias.ndim == 2
        reset_after = settings.reset_after if shown_by_bias is None else shown_by_bias
        if reset_after is None:
            raise InvalidSpecError(
                "no bias shows whether the reset gate comes after the recurrent product or before it: "
                "say --reset-after (Keras since 2.3) or --reset-before"
            )
        if settings.reset_after not in (None, reset_after):
            raise InvalidSpecError(
                f"a bias of {'two rows' if reset_after else 'one row'} is that of reset_after={reset_after}; "
                f"received reset_after={settings.reset_after}: leave it out"
            )
        return keras_layout(reset_after=reset_after)
    if settings.reset_after is not None:
        raise InvalidSpecError("reset_after is for Keras's weights without a bias; leave it out")
    if settings.layout is not None:
        return load(settings.layout)
    if "weight_ih" in last:  # nn.GRUCell
        layout, ending = load("pytorch"), "_l{layer}{direction}"
        tensors = tuple(replace(tensor, name=tensor.name.removesuffix(ending)) for tensor in layout.tensors)
        return replace(layout, tensors=tensors)
    if any(name.startswith("weight_ih_l") for name in last):
        return load("pytorch")
    raise InvalidSpecError(f"{_EXPECTED}; received {', '.join(map(printable, arrays)) or 'nothing'}")


def _nested(tensor: TensorLayout, array: Array) -> Array:
    """Return the array with the brackets that people leave out where H and I are 1."""
    if array.ndim == 0 and tensor.gates:
        array = array[None]
    if tensor.is_weight and array.ndim == 1 and len(array) == len(tensor.gates):
        return array[None] if tensor.rows == "input" else array[:, None]
    return array


def _activated(layer: GRULayer, settings: ReadHints) -> GRULayer:
    """Return the layer with the activations that were named."""
    names, major = meaning(settings, None)
    given = {"gate_activation": names.recurrent_activation, "candidate_activation": names.activation}
    try:
        said = {key: activation(name, major, key) for key, name in given.items() if name is not None}
    except UnsupportedFeatureError as error:
        raise InvalidSpecError(str(error)) from error
    made: dict[str, GRUDirection] = {
        name: replace(direction, **said)  # type: ignore[arg-type]  # mypy takes the values for any field's
        for name, direction in layer.directions()
    }
    return replace(layer, forward=made.get("forward"), backward=made.get("backward"))
