"""The canonical GRU: what every format is read into and written from.

Shapes use one alphabet: B batch, T time, I input size, H hidden size, L layers, D directions. The
equations are those of `reference.equations`; the update gate keeps: h' = z*h + (1 - z)*n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError

from .activation import ONE, SIGMOID, TANH, ZERO, Activation
from .dtypes import DTYPES, numpy_dtype
from .fused import Array
from .gates import CANDIDATE, GATE_NAMES, RESET, UPDATE, Gate, Gates
from .wiring import Source, StackIO

__all__ = ["Direction", "GRUDirection", "GRULayer", "GRUSpec"]

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class GRUDirection:
    """The weights of one layer in one direction. None means that the file has none; it is not zeros.

    Args:
        input_weight: W, each gate [H, I]; multiplies x_t.
        recurrent_weight: U, each gate [H, H]; multiplies h_{t-1}.
        input_bias: b, each gate [H].
        recurrent_bias: c, each gate [H]; or the candidate alone (the other two None), as formats with
            one bias per gate and a separate recurrent bias of the candidate have it.
        initial_state: learned h_0, [H], when the model carries one.
        gate_activation: of the update and reset gates.
        candidate_activation: of the candidate.
        absent_gates: the gates that the cell does not have: without an update gate z is 0 (h' = n), without a
            reset gate r is 1. In their places in the weights and biases stand zeros that mean nothing.

    Raises:
        InvalidSpecError: when shapes or dtypes do not fit together.
    """

    input_weight: Gates[Array]
    recurrent_weight: Gates[Array]
    input_bias: Gates[Array] | None = None
    recurrent_bias: Gates[Array | None] | None = None
    initial_state: Array | None = None
    gate_activation: Activation = SIGMOID
    candidate_activation: Activation = TANH
    absent_gates: frozenset[Gate] = frozenset()

    def __post_init__(self) -> None:
        freeze = object.__setattr__
        freeze(self, "input_weight", self.input_weight.map(_read_only))
        freeze(self, "recurrent_weight", self.recurrent_weight.map(_read_only))
        if self.input_bias is not None:
            freeze(self, "input_bias", self.input_bias.map(_read_only))
        if self.recurrent_bias is not None:
            freeze(
                self,
                "recurrent_bias",
                self.recurrent_bias.map(lambda a: None if a is None else _read_only(a)),
            )
        if self.initial_state is not None:
            freeze(self, "initial_state", _read_only(self.initial_state))
        self._check()

    def _check(self) -> None:
        shape = self.input_weight.update.shape
        if len(shape) != 2 or 0 in shape:
            raise InvalidSpecError(f"input weight of the update gate must be [H, I]; received {list(shape)}")
        hidden_size, input_size = shape
        dtype = self.input_weight.update.dtype
        if dtype.name not in DTYPES or not dtype.isnative:
            raise InvalidSpecError(f"dtype must be one of {', '.join(DTYPES)}; received {dtype}")
        self._check_gates()
        for name, array in self._stored():
            expected = [hidden_size]
            if "_weight." in name:
                expected.append(input_size if name.startswith("input") else hidden_size)
            if list(array.shape) != expected:
                raise InvalidSpecError(f"{name} must be {expected}; received {list(array.shape)}")
            if array.dtype != dtype:
                raise InvalidSpecError(
                    f"{name} must be {dtype} like the other arrays; received {array.dtype}"
                )

    def _check_gates(self) -> None:
        if self.recurrent_bias is not None:
            given = [gate for gate, bias in self.recurrent_bias.items() if bias is not None]
            if given not in (list(GATE_NAMES), ["candidate"]):
                raise InvalidSpecError(
                    f"recurrent bias must be given for all gates or the candidate alone; received {given}"
                )
        if not self.absent_gates <= {UPDATE, RESET}:
            raise InvalidSpecError(
                f"only the update and the reset gate can be absent; received {sorted(self.absent_gates)}"
            )
        for name, array in self._stored():
            if name.rpartition(".")[2] in self.absent_gates and array.any():
                raise InvalidSpecError(f"{name} must be zeros, for that gate is absent")

    @property
    def input_size(self) -> int:
        """I."""
        return int(self.input_weight.update.shape[1])

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.input_weight.update.shape[0])

    @property
    def has_bias(self) -> bool:
        """Whether there is any bias, even of the candidate alone."""
        return self.input_bias is not None or self.recurrent_bias is not None

    def activation(self, gate: Gate) -> Activation:
        """Return the function that makes z, r or n: a constant where the gate is absent."""
        if gate in self.absent_gates:
            return ZERO if gate == UPDATE else ONE
        return self.candidate_activation if gate == CANDIDATE else self.gate_activation

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) of every array there is, e.g. ("recurrent_weight.reset", [H, H])."""
        return ((name, a) for name, a in self._stored() if name.rpartition(".")[2] not in self.absent_gates)

    def _stored(self) -> Iterator[tuple[str, Array]]:
        """Yield what `arrays` yields and the zeros of absent gates."""
        for part in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias"):
            gates: Gates[Array | None] | None = getattr(self, part)
            if gates is not None:
                yield from ((f"{part}.{gate}", array) for gate, array in gates.items() if array is not None)
        if self.initial_state is not None:
            yield "initial_state", self.initial_state

    def astype(self, dtype: np.dtype[Any]) -> GRUDirection:
        """Return the direction with every array cast to `dtype`."""

        def cast(array: Array | None) -> Array | None:
            return None if array is None else array.astype(dtype)

        parts = ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")
        gates = {part: getattr(self, part) and getattr(self, part).map(cast) for part in parts}
        return replace(self, **gates, initial_state=cast(self.initial_state))

    def without(self, gate: Gate) -> GRUDirection:
        """Return the direction without its update or reset gate: zeros take the place of its numbers."""
        gates: dict[str, Any] = {}
        for part in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias"):
            held = getattr(self, part)
            if held is not None and held[gate] is not None:
                gates[part] = replace(held, **{gate: np.zeros_like(held[gate])})
        return replace(self, **gates, absent_gates=self.absent_gates | {gate})

    def complement_update(self) -> GRUDirection:
        """Return the direction whose z is 1 - z: z's weights and biases negated, which is exact.

        For formats whose update gate takes the candidate: h' = (1 - z)*h + z*n.

        Raises:
            UnsupportedFeatureError: when there is no update gate, or its activation has no such symmetry.
        """
        if UPDATE in self.absent_gates or not self.gate_activation.complements:
            reason = f"negated weights do not turn z into 1 - z under {self.activation(UPDATE)}"
            raise UnsupportedFeatureError(reason, [reason])
        changed: dict[str, Gates[Array] | Gates[Array | None]] = {
            "input_weight": replace(self.input_weight, update=-self.input_weight.update),
            "recurrent_weight": replace(self.recurrent_weight, update=-self.recurrent_weight.update),
        }
        if self.input_bias is not None:
            changed["input_bias"] = replace(self.input_bias, update=-self.input_bias.update)
        if self.recurrent_bias is not None and self.recurrent_bias.update is not None:
            changed["recurrent_bias"] = replace(self.recurrent_bias, update=-self.recurrent_bias.update)
        return replace(self, **changed)  # type: ignore[arg-type]


@dataclass(frozen=True)
class GRULayer:
    """One layer: forward, backward or both.

    Args:
        forward: weights of the direction that reads x_0 first.
        backward: weights of the direction that reads the last valid step first.
        reset_after: whether the reset gate multiplies the recurrent product, bias included
            (Keras `reset_after`, ONNX `linear_before_reset`), or the state before the product.
        clip: the pre-activations of all gates are clipped to [-clip, clip]; None does not clip.
    """

    forward: GRUDirection | None
    backward: GRUDirection | None
    reset_after: bool
    clip: float | None = None

    def __post_init__(self) -> None:
        present = [direction for _, direction in self.directions()]
        if not present:
            raise InvalidSpecError("a layer needs a forward or a backward direction; received neither")
        sizes = {(direction.input_size, direction.hidden_size) for direction in present}
        if len(sizes) > 1:
            raise InvalidSpecError(f"both directions must have the same (I, H); received {sorted(sizes)}")
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise InvalidSpecError(f"clip must be positive and finite; received {self.clip}")

    def directions(self) -> Iterator[tuple[Direction, GRUDirection]]:
        """Yield (name, direction) for those that the layer has, forward first."""
        if self.forward is not None:
            yield "forward", self.forward
        if self.backward is not None:
            yield "backward", self.backward

    @property
    def input_size(self) -> int:
        """I."""
        return next(self.directions())[1].input_size

    @property
    def hidden_size(self) -> int:
        """H."""
        return next(self.directions())[1].hidden_size

    @property
    def output_size(self) -> int:
        """D*H: what the next layer receives."""
        return self.hidden_size * sum(1 for _ in self.directions())


@dataclass(frozen=True)
class GRUSpec:
    """A stack of GRU layers: pure numpy, no framework, no gate order.

    Raises:
        InvalidSpecError: when the layers do not fit onto each other or differ in dtype.
    """

    layers: tuple[GRULayer, ...]
    name: str = "gru"
    io: StackIO = field(default_factory=StackIO)
    source: Source | None = None

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidSpecError("a stack needs at least one layer")
        for index, (below, above) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if above.input_size != below.output_size:
                raise InvalidSpecError(
                    f"layer {index + 1} must take the {below.output_size} outputs of layer {index}; "
                    f"its input size is {above.input_size}"
                )
        dtypes = {array.dtype.name for _, array in self.arrays()}
        if len(dtypes) > 1:
            raise InvalidSpecError(f"all arrays must share one dtype; received {', '.join(sorted(dtypes))}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of every array, as stored in the file."""
        return next(self.arrays())[1].dtype

    @property
    def input_size(self) -> int:
        """I of the first layer."""
        return self.layers[0].input_size

    def directions(self) -> Iterator[tuple[int, Direction, GRUDirection]]:
        """Yield (layer index, direction name, direction) from the first layer up, forward first."""
        for index, layer in enumerate(self.layers):
            for name, direction in layer.directions():
                yield index, name, direction

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array), e.g. ("layer 0 forward input_weight.update", [H, I])."""
        for index, name, direction in self.directions():
            for array_name, array in direction.arrays():
                yield f"layer {index} {name} {array_name}", array

    def astype(self, dtype: str) -> GRUSpec:
        """Return the spec with every array cast to `dtype`, one of `DTYPES`."""
        if dtype not in DTYPES:
            raise InvalidSpecError(f"dtype must be one of {', '.join(DTYPES)}; received {dtype!r}")
        target = numpy_dtype(dtype)
        if target == self.dtype:
            return self

        def layer_as(layer: GRULayer) -> GRULayer:
            directions = {name: direction.astype(target) for name, direction in layer.directions()}
            return replace(layer, forward=directions.get("forward"), backward=directions.get("backward"))

        return replace(self, layers=tuple(layer_as(layer) for layer in self.layers))


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
