"""The fifteen ways in which conversions of GRUs go wrong, each a function from a right spec to a wrong one.

They change a spec of split biases, reset after the product, two directions and a learned initial state; for
other specs some of them change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from grubridge.spec import Array, Gates, GRUDirection, GRULayer, GRUSpec

__all__ = ["MISTAKES"]

Mistake = Callable[[GRUSpec], GRUSpec]


def _layers(change: Callable[[GRULayer], GRULayer]) -> Mistake:
    return lambda spec: replace(spec, layers=tuple(change(layer) for layer in spec.layers))


def _directions(change: Callable[[GRUDirection], GRUDirection]) -> Mistake:
    def changed(layer: GRULayer) -> GRULayer:
        made = {name: change(direction) for name, direction in layer.directions()}
        return replace(layer, forward=made.get("forward"), backward=made.get("backward"))

    return _layers(changed)


def _permuted(*order: str) -> Mistake:
    """The gates taken in a wrong order, weights and biases alike."""

    def permute(gates: Gates[Array]) -> Gates[Array]:
        return Gates(*(getattr(gates, gate) for gate in order))

    def change(d: GRUDirection) -> GRUDirection:
        b, c = (permute(biases) for biases in _biases(d))
        return replace(
            d,
            input_weight=permute(d.input_weight),
            recurrent_weight=permute(d.recurrent_weight),
            input_bias=b,
            recurrent_bias=Gates(c.update, c.reset, c.candidate),
        )

    return _directions(change)


def _swapped_biases(d: GRUDirection) -> GRUDirection:
    """The weights reordered, the biases forgotten: update and reset change places in the biases alone."""
    b, c = _biases(d)
    return replace(
        d,
        input_bias=Gates(b.reset, b.update, b.candidate),
        recurrent_bias=Gates(c.reset, c.update, c.candidate),
    )


def _reshaped(weight: Array) -> Array:
    """What `kernel.reshape(kernel.T.shape)` makes of the stored kernel, where `.T` was meant."""
    return np.ascontiguousarray(weight.T).reshape(weight.shape)


def _folded(d: GRUDirection) -> GRUDirection:
    """The recurrent bias added to the input bias, which the reset gate then no longer scales."""
    b, c = _biases(d)
    total = Gates(b.update + c.update, b.reset + c.reset, b.candidate + c.candidate)
    return replace(d, input_bias=total, recurrent_bias=None)


def _exchanged_biases(d: GRUDirection) -> GRUDirection:
    b, c = _biases(d)
    return replace(d, input_bias=c, recurrent_bias=Gates(b.update, b.reset, b.candidate))


def _biases(d: GRUDirection) -> tuple[Gates[Array], Gates[Array]]:
    b, c = d.input_bias, d.recurrent_bias
    assert b is not None
    assert c is not None
    assert c.update is not None
    assert c.reset is not None
    assert c.candidate is not None
    return b, Gates(c.update, c.reset, c.candidate)


MISTAKES: dict[str, Mistake] = {
    "update and reset exchanged": _permuted("reset", "update", "candidate"),
    "update and candidate exchanged": _permuted("candidate", "reset", "update"),
    "reset and candidate exchanged": _permuted("update", "candidate", "reset"),
    "gates rotated": _permuted("reset", "candidate", "update"),
    "gates rotated twice": _permuted("candidate", "update", "reset"),
    "gates of the biases exchanged": _directions(_swapped_biases),
    "recurrent weights transposed": _directions(
        lambda d: replace(d, recurrent_weight=d.recurrent_weight.map(np.transpose))
    ),
    "kernel reshaped, not transposed": _directions(
        lambda d: replace(d, input_weight=d.input_weight.map(_reshaped))
    ),
    "reset before, not after": _layers(lambda layer: replace(layer, reset_after=not layer.reset_after)),
    "recurrent bias dropped": _directions(lambda d: replace(d, recurrent_bias=None)),
    "recurrent bias folded into the other": _directions(_folded),
    "biases exchanged": _directions(_exchanged_biases),
    "initial state dropped": _directions(lambda d: replace(d, initial_state=None)),
    "update gate takes, not keeps": _directions(lambda d: d.complement_update()),
    "time reversed": _layers(lambda layer: replace(layer, forward=layer.backward, backward=layer.forward)),
}
