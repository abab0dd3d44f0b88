"""Random GRUs and inputs of every temper: small and large, tame and chaotic, saturated, sparse, constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import Place, Probe

__all__ = ["Setting", "glorot", "make_probe", "make_spec"]


@dataclass(frozen=True)
class Setting:
    """What a random GRU and its inputs are like.

    Args:
        hidden_size: H.
        input_size: I.
        steps: T.
        batch: B.
        layers: L, each of H units.
        both_ways: whether every layer reads in both directions.
        reset_after: whether the reset gate comes after the recurrent product.
        dtype: of weights and states.
        weights: "fresh" (Glorot and orthogonal) or "trained" (low rank and heavy tails beside them).
        weight_scale: what these are multiplied by.
        bias_scale: standard deviation of the biases.
        update_bias: added to the update gate's, so that states are kept or replaced.
        inputs: their kind, see `_x`.
        input_scale: what these are multiplied by.
        state_scale: standard deviation of the initial states.
        masked: whether sequences have unequal lengths.
    """

    hidden_size: int
    input_size: int
    steps: int
    batch: int
    layers: int = 1
    both_ways: bool = False
    reset_after: bool = True
    dtype: str = "float32"
    weights: str = "fresh"
    weight_scale: float = 1.0
    bias_scale: float = 0.1
    update_bias: float = 0.0
    inputs: str = "normal"
    input_scale: float = 1.0
    state_scale: float = 0.5
    masked: bool = False


def make_spec(setting: Setting, rng: np.random.Generator) -> GRUSpec:
    """Return a random GRU."""
    layers: list[GRULayer] = []
    width = setting.input_size
    for _ in range(setting.layers):
        forward = _direction(setting, width, rng)
        backward = _direction(setting, width, rng) if setting.both_ways else None
        layers.append(GRULayer(forward, backward, setting.reset_after))
        width = layers[-1].output_size
    return GRUSpec(tuple(layers)).astype(setting.dtype)


def _direction(setting: Setting, input_size: int, rng: np.random.Generator) -> GRUDirection:
    hidden_size = setting.hidden_size

    def matrix(width: int, *, orthogonal: bool) -> Array:
        fresh = _orthogonal(width, rng) if orthogonal else glorot(hidden_size, width, rng)
        learned = _learned(hidden_size, width, rng) if setting.weights == "trained" else 0.0
        made: Array = ((fresh + learned) * setting.weight_scale).astype(np.float32)
        return made

    def matrices(width: int, *, orthogonal: bool) -> Gates[Array]:
        return Gates(*(matrix(width, orthogonal=orthogonal) for _ in range(3)))

    def biases(update: float) -> Gates[Array]:
        drawn = (rng.standard_normal((3, hidden_size)) * setting.bias_scale).astype(np.float32)
        return Gates(drawn[0] + np.float32(update), drawn[1], drawn[2])

    kernel = matrices(input_size, orthogonal=False)
    recurrent = matrices(hidden_size, orthogonal=setting.weights == "fresh")
    # before the product, a recurrent bias is one with the input's, and Keras has no room for it
    recurrent_bias = biases(0.0) if setting.reset_after else None
    return GRUDirection(kernel, recurrent, biases(setting.update_bias), recurrent_bias)


def glorot(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Glorot and Bengio's uniform weights, [rows, columns], float64."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns))


def _orthogonal(size: int, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    made: Array = q * np.sign(np.diag(r))
    return made


def _learned(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """A few directions with heavy tails, as training adds them: as large as fresh weights together."""
    rank = min(4, rows, columns)
    left, right = rng.standard_t(3, (rows, rank)), rng.standard_t(3, (rank, columns))
    made: Array = left @ right / np.sqrt(3 * rank * (rows + columns))
    return made


def make_probe(setting: Setting, spec: GRUSpec, rng: np.random.Generator) -> Probe:
    """Return random inputs, exact in the dtype of `spec`."""

    def exact(values: Array) -> Array:
        return values.astype(spec.dtype).astype(np.float64)

    shape = setting.batch, setting.hidden_size
    states: dict[Place, Array] = {
        (index, name): exact(rng.standard_normal(shape) * setting.state_scale)
        for index, name, _ in spec.directions()
    }
    lengths = rng.integers(1, setting.steps + 1, setting.batch) if setting.masked else None
    return Probe(exact(_x(setting, rng) * setting.input_scale), states, lengths, "benchmark")


def _x(setting: Setting, rng: np.random.Generator) -> Array:
    """[B, T, I] of one of seven kinds."""
    shape = setting.batch, setting.steps, setting.input_size
    x: Array = rng.standard_normal(shape)
    kinds: dict[str, Array] = {
        "normal": x,
        "positive": np.abs(x),
        "constant": np.broadcast_to(x[:, :1], shape),
        "sorted": np.sort(x, axis=-1),
        "sparse": np.where(rng.random(shape) < 0.05, x, 0),
        "zero": np.zeros(shape),
        "walk": np.cumsum(x, axis=1) / np.sqrt(np.arange(1, setting.steps + 1))[:, None],
    }
    return kinds[setting.inputs]
