"""The state dict of nn.GRU and nn.GRUCell: names and layout that PyTorch and safetensors files share.

Source: torch.nn.GRU, "Variables". Weights are [3H, I] and [3H, H] with the gates stacked in the order
r, z, n. The reset gate multiplies the recurrent product (`reset_after`). All biases are there, or none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from grubridge.errors import CorruptFileError
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import printable
from grubridge.spec import (
    CANDIDATE,
    DTYPES,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    Array,
    Capabilities,
    Gates,
    GRUDirection,
    GRULayer,
    Layout,
    split,
)

__all__ = ["CAPABILITIES", "GATE_ORDER", "LAYOUT", "StoredLayer", "recurrent_layers"]

GATE_ORDER = (RESET, UPDATE, CANDIDATE)
LAYOUT = Layout(GATE_ORDER, "output")
CAPABILITIES = Capabilities(
    reset_modes=frozenset((True,)),
    gate_activations=frozenset((SIGMOID,)),
    candidate_activations=frozenset((TANH,)),
    per_direction_activations=False,
    clip=False,
    initial_state=False,
    backward_only=False,
    mixed_layers=False,
)

_KEY = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<part>(?:weight|bias)_(?:ih|hh)|weight_hr)"
    r"(?:_l(?P<number>0|[1-9][0-9]{0,4})(?P<reverse>_reverse)?)?"
    r"(?P<stand_in>\.original[01]?|_g|_v|_orig)?",  # what weight_norm and its like put in a weight's place
    re.DOTALL,
)
_KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}


@dataclass
class StoredLayer:
    """What a state dict holds under one prefix of a recurrent layer, nn.GRU's names or a cell's.

    Args:
        prefix: what stands in front of the names, e.g. "encoder.rnn.".
        cell: whether the names are a cell's: "weight_ih" instead of "weight_ih_l0".
        tensors: by name without the prefix.
        num_layers: L.
        bidirectional: whether any layer runs backwards as well.
        parametrized: whether weight_norm or its like took the place of a weight.
    """

    prefix: str
    cell: bool
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    num_layers: int = 1
    bidirectional: bool = False
    parametrized: bool = False

    @property
    def kind(self) -> str | None:
        """GRU, LSTM or RNN, by the number of gates; None where the first layer's weights fit none of them."""
        first, recurrent = self._first("weight_ih"), self._first("weight_hh")
        if self.parametrized or not len(first) == len(recurrent) == 2:
            return None
        if self._first("weight_hr"):
            return "LSTM"  # the only one that can project its state
        rows, columns = recurrent
        return _KINDS.get(rows // columns) if columns and rows % columns == 0 else None

    @property
    def bias(self) -> bool:
        """Whether there is any bias."""
        return any(name.startswith("bias") for name in self.tensors)

    def sizes(self) -> tuple[int, int]:
        """Return (I, H) as the first layer's weights of a GRU show them."""
        return self._first("weight_ih")[1], self._first("weight_hh")[1]

    def _first(self, part: str) -> tuple[int, ...]:
        """Return the shape of a part of the first layer; () when it is missing."""
        tensor = self.tensors.get(part if self.cell else f"{part}_l0")
        return () if tensor is None else tensor.shape

    def read(self, where: str) -> tuple[GRULayer, ...]:
        """Read a GRU's layers.

        Args:
            where: what holds the tensors, as messages print it.

        Raises:
            CorruptFileError: when a tensor is missing, or has a shape or dtype that no GRU has.
        """
        input_size, _ = self.sizes()
        layers: list[GRULayer] = []
        for index in range(self.num_layers):
            suffix = "" if self.cell else f"_l{index}"
            forward = self._direction(where, suffix, input_size)
            backward = self._direction(where, f"{suffix}_reverse", input_size) if self.bidirectional else None
            layers.append(GRULayer(forward, backward, reset_after=True))
            input_size = layers[-1].output_size
        return tuple(layers)

    def _direction(self, where: str, suffix: str, input_size: int) -> GRUDirection:
        _, hidden_size = self.sizes()

        def gates(part: str, *columns: int) -> Gates[Array]:
            tensor = self._tensor(where, part + suffix, (3 * hidden_size, *columns))
            return split(tensor, GATE_ORDER, axis=0)

        weights = gates("weight_ih", input_size), gates("weight_hh", hidden_size)
        if not self.bias:
            return GRUDirection(*weights)
        return GRUDirection(*weights, gates("bias_ih"), gates("bias_hh"))

    def _tensor(self, where: str, name: str, shape: tuple[int, ...]) -> Array:
        key = printable(self.prefix + name)
        tensor = self.tensors.get(name)
        if tensor is None:
            raise CorruptFileError(
                f"{where}: tensor {key} is missing, although others of the same layer are there; "
                "the model was saved in part, or it is a custom layer and no nn.GRU"
            )
        if tensor.shape != shape:
            raise CorruptFileError(
                f"{where}: tensor {key} should be {list(shape)}, to fit the first layer's weights; received "
                f"{list(tensor.shape)}: the file is damaged, or it is a custom layer and no nn.GRU"
            )
        if tensor.dtype not in DTYPES:
            raise CorruptFileError(
                f"{where}: tensor {key} should be one of {', '.join(DTYPES)}; received {tensor.dtype}: "
                "save the model in floating point (quantized weights are not the model's own)"
            )
        return tensor.read()


def recurrent_layers(tensors: Mapping[str, StoredTensor]) -> tuple[StoredLayer, ...]:
    """Return what has the names of a recurrent layer in a flat state dict, in its order."""
    found: dict[tuple[str, bool], StoredLayer] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None:
            continue
        prefix, cell = match["prefix"].removesuffix("parametrizations."), match["number"] is None
        layer = found.setdefault((prefix, cell), StoredLayer(prefix, cell))
        if match["stand_in"]:
            layer.parametrized = True
        else:
            layer.tensors[key[len(prefix) :]] = tensor
        layer.num_layers = max(layer.num_layers, 1 + int(match["number"] or 0))
        layer.bidirectional |= match["reverse"] is not None
    return tuple(found.values())
