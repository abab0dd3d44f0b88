"""Keras models with random weights, and what a spec says that they compute."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from grubridge.reference import run
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Probe

__all__ = [
    "INPUT_SIZE",
    "STEPS",
    "VARIANTS",
    "expected_output",
    "largest_difference",
    "probe_x",
    "randomise",
    "sequential",
]

INPUT_SIZE, STEPS = 3, 7

Layers = Any
Maker = Callable[[Layers], Any]


def _stacked(layers: Layers) -> Any:
    cells = [layers.GRUCell(5, reset_after=False), layers.GRUCell(4, use_bias=False, activation="relu")]
    return layers.RNN(layers.StackedRNNCells(cells), return_sequences=True)


def _own_backward_layer(layers: Layers) -> Any:
    backward = layers.GRU(
        5,
        return_sequences=True,
        go_backwards=True,
        activation="softsign",
        recurrent_activation="hard_sigmoid",
    )
    return layers.Bidirectional(layers.GRU(5, return_sequences=True), backward_layer=backward)


def _bidirectional(merge_mode: str, *, sequences: bool = True) -> Maker:
    return lambda layers: layers.Bidirectional(
        layers.GRU(5, return_sequences=sequences, reset_after=False), merge_mode=merge_mode
    )


VARIANTS: dict[str, Maker] = {
    "reset_after": lambda layers: layers.GRU(5, return_sequences=True),
    "reset_before": lambda layers: layers.GRU(5, return_sequences=True, reset_after=False),
    "no_bias": lambda layers: layers.GRU(5, return_sequences=True, use_bias=False),
    "no_bias_reset_before": lambda layers: layers.GRU(4, use_bias=False, reset_after=False),
    "hard_sigmoid": lambda layers: layers.GRU(5, return_sequences=True, recurrent_activation="hard_sigmoid"),
    "relu": lambda layers: layers.GRU(4, activation="relu"),
    "elu": lambda layers: layers.GRU(4, activation="elu"),
    "linear": lambda layers: layers.GRU(4, activation=None, recurrent_activation="softsign"),
    "leaky_relu_layer": lambda layers: layers.GRU(4, activation=layers.LeakyReLU(0.25)),
    "softplus": lambda layers: layers.GRU(4, activation="softplus", return_sequences=True),
    "last_step": lambda layers: layers.GRU(5),
    "unrolled": lambda layers: layers.GRU(5, unroll=True),
    "go_backwards": lambda layers: layers.GRU(5, return_sequences=True, go_backwards=True),
    "go_backwards_last_step": lambda layers: layers.GRU(5, go_backwards=True),
    "cell": lambda layers: layers.RNN(layers.GRUCell(5, reset_after=False), return_sequences=True),
    "cell_going_backwards": lambda layers: layers.RNN(layers.GRUCell(5), go_backwards=True),
    "stacked_cells": _stacked,
    "concat": _bidirectional("concat"),
    "sum": _bidirectional("sum"),
    "mul": _bidirectional("mul"),
    "ave": _bidirectional("ave"),
    "concat_last_step": _bidirectional("concat", sequences=False),
    "bidirectional_cells": lambda layers: layers.Bidirectional(
        layers.RNN(layers.GRUCell(4), return_sequences=True)
    ),
    "own_backward_layer": _own_backward_layer,
}
"""Every kind of GRU layer, by name; both Keras 2 and Keras 3 make them."""


def sequential(framework: ModuleType, dtype: str, *makers: Maker) -> Any:
    """Return a Sequential model of layers in `dtype`, with random weights that are all distinct."""
    precision = framework.mixed_precision
    before = precision.global_policy() if hasattr(precision, "global_policy") else precision.dtype_policy()
    precision.set_global_policy(dtype)
    try:
        made = [make(framework.layers) for make in makers]
        given = framework.Input((STEPS, INPUT_SIZE), dtype=dtype)
        return randomise(framework.Sequential([given, *made]))
    finally:
        precision.set_global_policy(before)


def randomise(model: Any, seed: int = 0) -> Any:
    """Give a model random weights and biases, all distinct."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.7, 0.7, weight.shape) for weight in model.get_weights()])
    return model


def probe_x(input_size: int = INPUT_SIZE, steps: int = STEPS) -> Array:
    """Return inputs [2, T, I], float64, that every dtype of at least 32 bits holds exactly."""
    return np.random.default_rng(1).normal(size=(2, steps, input_size)).astype(np.float32).astype(np.float64)


def expected_output(spec: GRUSpec, x: Array) -> Array:
    """Return what a layer that is wired as `spec.io` says must return for `x`, by the float64 equations."""
    places = run(spec, Probe(x)).places
    top = len(spec.layers) - 1
    halves = {way: made.hidden for (layer, way), made in places.items() if layer == top}
    if not spec.io.return_sequences:
        ends = {"forward": -1, "backward": 0}
        halves = {way: hidden[:, ends[way]] for way, hidden in halves.items()}
    elif spec.io.processing_order:
        halves = {way: hidden[:, ::-1] for way, hidden in halves.items()}
    if len(halves) == 1:
        return next(iter(halves.values()))
    forward, backward = halves["forward"], halves["backward"]
    merged: dict[str | None, Array] = {
        "concat": np.concatenate([forward, backward], axis=-1),
        "sum": forward + backward,
        "mul": forward * backward,
        "ave": (forward + backward) / 2,
    }
    return merged[spec.io.merge_mode]


def largest_difference(model: Any, spec: GRUSpec) -> float:
    """Return how far the output of `model` is from what its spec says, on random inputs."""
    x = probe_x(spec.input_size)
    return float(np.abs(np.asarray(model(x)).astype(np.float64) - expected_output(spec, x)).max())
