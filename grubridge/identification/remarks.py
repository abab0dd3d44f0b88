"""What a run leaves open: layouts that compute the same, and what would tell apart those that do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from grubridge.checker.recording import Recording
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import listed, printable
from grubridge.layouts.description import BIASES, CellLayout, TensorLayout
from grubridge.layouts.finding import of_place
from grubridge.spec import Gate

__all__ = ["differences", "remarks", "what_would_tell"]

_SETTINGS = {
    "update": "update gate",
    "reset": "reset gate",
    "gate_activation": "gates",
    "candidate_activation": "candidate",
    "output_activation": "output",
}


def differences(one: CellLayout, other: CellLayout) -> tuple[str, ...]:
    """Return in what `other` differs from `one`, in words; what a bias is called does not count."""
    found = [
        f"{word} {getattr(other, key) or 'as it is'} instead of {getattr(one, key) or 'as it is'}"
        for key, word in _SETTINGS.items()
        if getattr(one, key) != getattr(other, key)
    ]
    before, after = (
        {tensor.name: _said(tensor) for tensor in of_place(layout, 0, "forward").tensors}
        for layout in (one, other)
    )
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            was, now = before.get(name, "no part of the cell"), after.get(name, "no part of the cell")
            found.append(f"{printable(name)} is {now} instead of {was}")
    return tuple(found)


def _said(tensor: TensorLayout) -> str:
    gates = ", ".join(tensor.gates)
    if not tensor.is_weight:
        return f"the bias of {gates}" if gates else "the initial state"
    return f"the {' and '.join(tensor.holds)} of {gates}, rows = {tensor.rows}".replace("_", " ")


def remarks(layout: CellLayout, prefix: str, tensors: Mapping[str, StoredTensor]) -> tuple[str, ...]:
    """Return what of a layout that fits no run could show, because it does not matter."""
    return (*_sums(layout, prefix, tensors), *_twins(layout, prefix, tensors))


def _biases(layout: CellLayout, prefix: str, tensors: Mapping[str, StoredTensor]) -> list[TensorLayout]:
    held = [one for one in of_place(layout, 0, "forward").tensors if one.holds[0] in BIASES]
    return [tensor for tensor in held if prefix + tensor.name in tensors]


def _sums(layout: CellLayout, prefix: str, tensors: Mapping[str, StoredTensor]) -> Iterator[str]:
    parts: dict[str, set[str]] = {}
    for tensor in _biases(layout, prefix, tensors):
        for gate in tensor.gates:
            parts.setdefault(gate, set()).update(tensor.holds)
    summed = [gate for gate, held in parts.items() if len(held) == 2]
    if layout.reset == "after":
        summed = [gate for gate in summed if gate != "candidate"]
    if summed:
        yield (
            f"the two biases of {listed(summed)} only ever appear as their sum: which of them is called the "
            "input's does not matter"
        )


def _twins(layout: CellLayout, prefix: str, tensors: Mapping[str, StoredTensor]) -> Iterator[str]:
    """Yield which biases of different gates are the same numbers."""
    seen: dict[bytes, list[tuple[str, Gate]]] = {}
    for tensor in _biases(layout, prefix, tensors):
        values = tensors[prefix + tensor.name].read().astype(np.float64) + 0.0
        rows = values.reshape(len(tensor.holds), len(tensor.gates), -1)
        for row in rows:
            for gate, value in zip(tensor.gates, row, strict=True):
                seen.setdefault(value.tobytes(), []).append((tensor.name, gate))
    for shared, owners in seen.items():
        if len({gate for _, gate in owners}) > 1:
            what = "are zero" if not np.frombuffer(shared).any() else "are the same numbers"
            where = listed(list(dict.fromkeys(name for name, _ in owners)))
            yield f"biases in {where} {what}: which gate has which does not matter"


def what_would_tell(one: CellLayout, other: CellLayout, recording: Recording) -> str:
    """Return, in words, what kind of run would tell two layouts apart that compute different functions."""
    keys = ("gate_activation", "candidate_activation", "output_activation")
    names = [
        f"{getattr(one, key)} and {getattr(other, key)}"
        for key in keys
        if getattr(one, key) != getattr(other, key)
    ]
    if names:
        return f"larger inputs, or larger numbers in initial_state, where {', '.join(names)} differ"
    if recording.x.shape[1] == 1 and recording.initial_state is None:
        return (
            "more than one step, or an initial_state that is not zero: from zero, no recurrent weight shows"
        )
    if recording.hidden is None:
        return "a run with hidden, of every step, and a random initial_state"
    return "a longer run with random inputs and a random initial_state"
