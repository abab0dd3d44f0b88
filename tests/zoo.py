"""The zoo: one small GRU for every feature that a format or a runtime may get wrong.

All numbers of a spec are random and distinct, so that no exchange of two of them goes unseen. No first
layer has I = H, and no H is a multiple of 3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grubridge.spec import (
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    hard_sigmoid,
    numpy_dtype,
)

__all__ = ["ZOO", "make_spec", "member", "with_number"]

LARGEST_WEIGHT = 0.6


class _Numbers:
    """Random numbers of one dtype, none of which is handed out twice."""

    def __init__(self, seed: int, dtype: str) -> None:
        rng = np.random.default_rng(seed)
        self._dtype = numpy_dtype(dtype)
        drawn = rng.uniform(-LARGEST_WEIGHT, LARGEST_WEIGHT, 50_000).astype(self._dtype)
        self._left = rng.permutation(np.unique(drawn.astype(np.float64)))

    def take(self, *shape: int) -> Array:
        count = int(np.prod(shape))
        taken, self._left = self._left[:count], self._left[count:]
        return taken.reshape(shape).astype(self._dtype)

    def gates(self, *shape: int) -> Gates[Array]:
        return Gates(self.take(*shape), self.take(*shape), self.take(*shape))


def make_spec(
    name: str,
    *,
    sizes: tuple[int, ...] = (5, 7),
    directions: str = "forward",
    reset_after: bool = True,
    biases: str = "split",
    dtype: str = "float32",
    clip: float | None = None,
    initial_state: bool = False,
    activations: tuple[tuple[Activation, Activation], ...] = ((Activation("sigmoid"), Activation("tanh")),),
    seed: int = 0,
) -> GRUSpec:
    """Return a random spec.

    Args:
        name: its name.
        sizes: the input size, then every layer's hidden size.
        directions: "forward", "backward" or "both", for all layers.
        reset_after: of all layers.
        biases: "none", "input", "split", or "candidate" (input biases and the candidate's recurrent one).
        dtype: of all arrays.
        clip: of all layers.
        initial_state: whether every direction carries one.
        activations: (gates, candidate) of each direction; the last one serves the rest.
        seed: of the random numbers.
    """
    numbers = _Numbers(seed, dtype)
    names = ("forward", "backward") if directions == "both" else (directions,)

    def direction(input_size: int, hidden_size: int, index: int) -> GRUDirection:
        recurrent_bias: Gates[Array | None] | None = None
        if biases == "split":
            recurrent_bias = Gates(*(numbers.take(hidden_size) for _ in range(3)))
        elif biases == "candidate":
            recurrent_bias = Gates(None, None, numbers.take(hidden_size))
        gate, candidate = activations[min(index, len(activations) - 1)]
        return GRUDirection(
            numbers.gates(hidden_size, input_size),
            numbers.gates(hidden_size, hidden_size),
            None if biases == "none" else numbers.gates(hidden_size),
            recurrent_bias,
            numbers.take(hidden_size) if initial_state else None,
            gate,
            candidate,
        )

    layers: list[GRULayer] = []
    input_size = sizes[0]
    for hidden_size in sizes[1:]:
        made = {way: direction(input_size, hidden_size, index) for index, way in enumerate(names)}
        layers.append(GRULayer(made.get("forward"), made.get("backward"), reset_after, clip))
        input_size = layers[-1].output_size
    return GRUSpec(tuple(layers), name)


_KERAS_2 = (hard_sigmoid(0.2), Activation("tanh"))
_KERAS_3 = (hard_sigmoid(1 / 6), Activation("tanh"))
_PLAIN = (Activation("sigmoid"), Activation("tanh"))


def _mixed_layers() -> GRUSpec:
    wide = make_spec("wide", sizes=(4, 5), directions="both", seed=18)
    narrow = make_spec("narrow", sizes=(10, 8), reset_after=False, biases="input", seed=19)
    return replace(wide, name="mixed_layers", layers=wide.layers + narrow.layers)


ZOO: tuple[GRUSpec, ...] = (
    make_spec("reset_after", seed=1),
    make_spec("reset_before", reset_after=False, biases="input", seed=2),
    make_spec("reset_before_split_bias", reset_after=False, sizes=(3, 8), seed=3),
    make_spec("no_bias", biases="none", sizes=(6, 4), seed=4),
    make_spec("input_bias_only", biases="input", seed=5),
    make_spec("candidate_recurrent_bias", biases="candidate", seed=6),
    make_spec("bidirectional", directions="both", sizes=(4, 5), seed=7),
    make_spec("two_layers_bidirectional", directions="both", sizes=(4, 5, 5), seed=8),
    make_spec("three_layers_reset_before", reset_after=False, biases="input", sizes=(4, 7, 7, 7), seed=9),
    make_spec("backward_only", directions="backward", sizes=(3, 5), seed=10),
    make_spec("hard_sigmoid_keras_2", reset_after=False, biases="input", activations=(_KERAS_2,), seed=11),
    make_spec("hard_sigmoid_keras_3", directions="both", sizes=(3, 4), activations=(_KERAS_3,), seed=12),
    make_spec("relu", activations=((Activation("sigmoid"), Activation("relu")),), seed=13),
    make_spec("clip", reset_after=False, clip=0.75, sizes=(5, 8), seed=14),
    make_spec("initial_state", directions="both", sizes=(3, 5, 5), initial_state=True, seed=15),
    make_spec(
        "activations_per_direction",
        directions="both",
        sizes=(5, 4),
        activations=(_PLAIN, (hard_sigmoid(0.2), Activation("scaled_tanh", 0.9, 1.25))),
        seed=16,
    ),
    make_spec("float16", dtype="float16", directions="both", sizes=(4, 5), seed=17),
    _mixed_layers(),
    make_spec("bfloat16", dtype="bfloat16", sizes=(4, 7, 7), seed=20),
    make_spec("float64", dtype="float64", reset_after=False, biases="input", sizes=(4, 5), seed=21),
)
"""Twenty specs, each named after its feature."""


def member(name: str) -> GRUSpec:
    """Return the spec of the zoo called `name`."""
    return next(spec for spec in ZOO if spec.name == name)


def with_number(spec: GRUSpec, name: str, place: tuple[int, ...], value: float) -> GRUSpec:
    """Return `spec` with one number of the array called `name` replaced."""
    _, index, direction_name, array_name = name.split(" ", 3)
    layer = spec.layers[int(index)]
    direction = getattr(layer, direction_name)
    part, _, gate = array_name.partition(".")
    array = (getattr(getattr(direction, part), gate) if gate else getattr(direction, part)).copy()
    array[place] = value
    whole = replace(getattr(direction, part), **{gate: array}) if gate else array
    changed = replace(layer, **{direction_name: replace(direction, **{part: whole})})
    layers = list(spec.layers)
    layers[int(index)] = changed
    return replace(spec, layers=tuple(layers))
