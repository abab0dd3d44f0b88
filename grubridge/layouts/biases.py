"""The biases of a direction in the places that a layout has for them: as they are, summed, or zeros.

The equations see both biases of the update and the reset gate only as a sum, and those of the candidate too
unless the reset gate multiplies one of them (reset after the product).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, Array, BiasChange, Gate, Gates, GRUDirection

from .description import BIASES, Part, TensorLayout

__all__ = ["BiasPlace", "bias_places", "brought", "in_the_way"]

BiasPlace = tuple[Part, Gate]


def bias_places(tensors: Iterable[TensorLayout]) -> frozenset[BiasPlace]:
    """Return the biases that `tensors` have places for."""
    return frozenset(
        (part, gate) for tensor in tensors for part in tensor.holds if part in BIASES for gate in tensor.gates
    )


def in_the_way(direction: GRUDirection, places: Collection[BiasPlace], *, reset_after: bool) -> Iterator[str]:
    """Yield every reason why the biases cannot be brought to `places`."""
    for gate in _present(direction):
        held = [part for part in BIASES if (part, gate) in places]
        given = {part: bias for part in BIASES if (bias := _bias(direction, part, gate)) is not None}
        homeless = [part for part, bias in given.items() if part not in held and bias.any()]
        apart = gate == CANDIDATE and reset_after and RESET not in direction.absent_gates
        if homeless and (apart or not held):
            largest = max(float(np.max(np.abs(given[part].astype(np.float64)))) for part in homeless)
            which = " and ".join(part.replace("_", " ") for part in homeless)
            yield f"the {which} of the {gate} (up to {largest:.3g}) has no place in the layout's tensors"


def brought(
    direction: GRUDirection, places: Collection[BiasPlace]
) -> tuple[GRUDirection, Mapping[BiasPlace, BiasChange]]:
    """Return the direction with its biases in `places`, and what had to be done to them.

    `in_the_way` must have found nothing.
    """
    zeros = np.zeros(direction.hidden_size, direction.input_weight.candidate.dtype)
    values: dict[BiasPlace, Array] = {}
    changes: dict[BiasPlace, BiasChange] = {}
    for gate in _present(direction):
        left = {part: bias for part in BIASES if (bias := _bias(direction, part, gate)) is not None}
        held = [part for part in BIASES if (part, gate) in places]
        if len(held) == 1:
            left = {part: bias for part, bias in left.items() if part in held or bias.any()}
        for part in held:
            place, own = (part, gate), left.pop(part, None)
            others = list(left.values()) if len(held) == 1 else []
            if own is None:
                values[place] = others[0] if others else zeros
                if not others:
                    changes[place] = BiasChange("zero-filled")
            else:
                values[place] = own + others[0] if others else own
                if others:
                    changes[place] = BiasChange("summed", _rounding(own, others[0], values[place]))

    def gates(part: Part) -> Gates[Array]:
        return Gates(*(values.get((part, gate), zeros) for gate in GATE_NAMES))

    inputs, recurrent = ([gate for gate in GATE_NAMES if (part, gate) in values] for part in BIASES)
    of_state: Gates[Array] | Gates[Array | None] | None = gates("recurrent_bias") if recurrent else None
    if recurrent == [CANDIDATE]:
        of_state = Gates[Array | None](None, None, values["recurrent_bias", CANDIDATE])
    of_input = gates("input_bias") if inputs else None
    return replace(direction, input_bias=of_input, recurrent_bias=of_state), changes


def _present(direction: GRUDirection) -> Iterator[Gate]:
    return (gate for gate in GATE_NAMES if gate not in direction.absent_gates)


def _bias(direction: GRUDirection, part: Part, gate: Gate) -> Array | None:
    biases = direction.input_bias if part == "input_bias" else direction.recurrent_bias
    return None if biases is None else biases[gate]


def _rounding(one: Array, other: Array, total: Array) -> float:
    exact = one.astype(np.float64) + other.astype(np.float64)
    return float(np.max(np.abs(total.astype(np.float64) - exact), initial=0.0))
