"""The GRUs of a file that holds state dicts, as the stacks that an adapter lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.opening import shown
from grubridge.files.text import natural_order, printable
from grubridge.formats.base import Contents, StackEntry
from grubridge.spec import GRUSpec, Source, StackIO

from .layout import LAYOUT, StoredLayer, StoredTensor, recurrent_layers

__all__ = ["StateDictFile", "grus"]

_NOTE = (
    "a state dict does not say whether its GRU takes its input batch first or time first (batch_first): "
    "batch first is assumed"
)


@dataclass(frozen=True)
class StateDictFile:
    """A file with one or more state dicts.

    Args:
        path: the file.
        format: the adapter's name.
        state_dicts: the tensors of each, by the keys that lead to it from the file's root; () is the root.
        framework: who wrote the file, as far as it says.
    """

    path: Path
    format: str
    state_dicts: Mapping[tuple[str, ...], Mapping[str, StoredTensor]]
    framework: str


def grus(file: StateDictFile) -> Contents:
    """List the GRUs of `file`, in natural order of their names.

    A stack is called by its prefix, "encoder.rnn", or "gru" when that is empty. Where several state dicts
    hold GRUs (a model and its moving average), the keys that lead to them come first: "ema.encoder.rnn".

    Raises:
        UnsupportedFeatureError: when every GRU there may be is hidden under weight_norm or its like.
    """
    layers = [
        (keys, layer) for keys, tensors in file.state_dicts.items() for layer in recurrent_layers(tensors)
    ]
    found = [(keys, layer) for keys, layer in layers if layer.kind == "GRU"]
    several = len({keys for keys, _ in found}) > 1
    entries: dict[str, StackEntry] = {}
    for keys, layer in found:
        name = _name((*keys, layer.prefix) if several else (layer.prefix,))
        while name in entries:
            name += "_1"
        entries[name] = _entry(file, keys, layer, name)
    normalised = [_name((layer.prefix,)) for _, layer in layers if layer.parametrized]
    if normalised and not found:
        raise UnsupportedFeatureError(
            f"{shown(file.path)}: the weights of {', '.join(normalised)} are parametrized (weight_norm or "
            "its like), so the file does not hold the weights themselves; before saving, call "
            "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight_hh_l0') for each of them",
            [f"parametrized weights of {name}" for name in normalised],
        )
    stacks = sorted(entries.values(), key=lambda entry: natural_order(entry.name))
    others = tuple(_other(layer) for _, layer in layers if layer.kind != "GRU")
    return Contents(tuple(stacks), others, file.framework)


def _name(parts: tuple[str, ...]) -> str:
    return printable(".".join(parts).strip(".") or "gru")


def _other(layer: StoredLayer) -> str:
    name = _name((layer.prefix,))
    if layer.parametrized:
        return f"{name!r} with parametrized weights (weight_norm)"
    if layer.kind is None:
        shapes = ", ".join(f"{key} {list(tensor.shape)}" for key, tensor in layer.tensors.items())
        return f"{name!r} whose shapes are no nn.GRU's ({shapes})"
    return f"{layer.kind} {name!r}" if layer.prefix else layer.kind


def _entry(file: StateDictFile, keys: tuple[str, ...], layer: StoredLayer, name: str) -> StackEntry:
    input_size, hidden_size = layer.sizes()
    address = {
        "keys": list(keys),
        "prefix": layer.prefix,
        "cell": layer.cell,
        "input_size": input_size,
        "hidden_size": hidden_size,
        "num_layers": layer.num_layers,
        "bidirectional": layer.bidirectional,
        "bias": layer.bias,
    }
    notes = () if layer.cell else (_NOTE,)
    source = Source(str(file.path), file.format, name, file.framework, notes)

    def read() -> GRUSpec:
        return GRUSpec(layer.read(shown(file.path)), name, StackIO(), source)

    return StackEntry(name, address, LAYOUT, read)
