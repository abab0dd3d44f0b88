"""The GRUs of a file that holds state dicts, as the stacks that an adapter lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.opening import shown
from grubridge.files.tensors import TensorFile, left_alone, stack_name
from grubridge.files.text import listed, natural_order, quoted
from grubridge.formats.base import Contents, StackEntry
from grubridge.spec import GRUSpec, Source, StackIO

from .layout import LAYOUT, StoredLayer, recurrent_layers

__all__ = ["grus"]

_NOTE = (
    "a state dict does not say whether its GRU takes its input batch first or time first (batch_first): "
    "batch first is assumed"
)


def grus(file: TensorFile, layout: str | None = None) -> Contents:
    """List the GRUs of `file`, in natural order of their names: PyTorch's own, or those of a layout.

    A stack is called by its prefix, "encoder.rnn", or "gru" when that is empty. Where several state dicts
    hold GRUs (a model and its moving average), the keys that lead to them come first: "ema.encoder.rnn".

    Args:
        file: the file.
        layout: a shipped layout's name, or the path of a .toml file; None looks for nn.GRU and nn.GRUCell.

    Raises:
        LayoutError: when there is no such layout.
        UnsupportedFeatureError: when every GRU there may be is hidden under weight_norm or its like.
    """
    if layout is not None:
        from grubridge.formats.described import described

        return described(file, layout)
    layers = [(keys, layer) for keys, tensors in file.groups.items() for layer in recurrent_layers(tensors)]
    found = [
        (keys, layer)
        for keys, layer in layers
        if layer.kind == "GRU" and not _alien(layer, file.groups[keys])
    ]
    several = len({keys for keys, _ in found}) > 1
    notes = {keys: left_alone(file.groups[keys], _claimed(keys, found)) for keys, _ in found}
    entries: dict[str, StackEntry] = {}
    for keys, layer in found:
        name = stack_name(keys if several else (), layer.prefix)
        while name in entries:
            name += "_1"
        entries[name] = _entry(file, keys, layer, name, notes[keys])
    normalised = [stack_name((), layer.prefix) for _, layer in layers if layer.parametrized]
    if normalised and not found:
        raise UnsupportedFeatureError(
            f"{shown(file.path)}: the weights of {', '.join(normalised)} are parametrized (weight_norm or "
            "its like), so the file does not hold the weights themselves; before saving, call "
            "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight_hh_l0') for each of them",
            [f"parametrized weights of {name}" for name in normalised],
        )
    stacks = sorted(entries.values(), key=lambda entry: natural_order(entry.name))
    others = tuple(_other(layer, file.groups[keys]) for keys, layer in layers if (keys, layer) not in found)
    advice = "" if stacks else _advice(file)
    return Contents(tuple(stacks), others, file.framework, advice)


def _advice(file: TensorFile) -> str:
    from grubridge.formats.described import fitting

    return fitting(file)


def _claimed(keys: tuple[str, ...], found: list[tuple[tuple[str, ...], StoredLayer]]) -> Iterator[str]:
    """Yield the names of the tensors of every GRU in the state dict at `keys`."""
    for place, layer in found:
        if place == keys:
            yield from (layer.prefix + name for name in layer.tensors)


def _alien(layer: StoredLayer, tensors: Collection[str]) -> tuple[str, ...]:
    """Return biases beside weights without one that PyTorch does not have (Equinox: bias, bias_n)."""
    names = () if layer.bias else ("bias", "bias_n")
    return tuple(layer.prefix + name for name in names if layer.prefix + name in tensors)


def _other(layer: StoredLayer, tensors: Collection[str]) -> str:
    name = quoted(layer.prefix.strip("./") or "gru")
    if alien := _alien(layer, tensors):
        return f"{name}, whose bias is none of PyTorch's ({listed(alien)})"
    if layer.parametrized:
        return f"{name} with parametrized weights (weight_norm)"
    if layer.kind is None:
        shapes = ", ".join(f"{key} {list(tensor.shape)}" for key, tensor in layer.tensors.items())
        return f"{name} whose shapes are no nn.GRU's ({shapes})"
    return f"{layer.kind} {name}" if layer.prefix else layer.kind


def _entry(
    file: TensorFile, keys: tuple[str, ...], layer: StoredLayer, name: str, left: tuple[str, ...]
) -> StackEntry:
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
    notes = left if layer.cell else (_NOTE, *left)
    source = Source(str(file.path), file.format, name, file.framework, notes)

    def read() -> GRUSpec:
        return GRUSpec(layer.read(shown(file.path)), name, StackIO(), source)

    return StackEntry(name, address, LAYOUT, read)
