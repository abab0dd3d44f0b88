"""What a model file holds: its GRUs, their conventions, and which formats could hold each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grubridge.artifacts import OpenArtifact, open_artifact
from grubridge.errors import UnsupportedFeatureError
from grubridge.formats.base import ReadHints, StackEntry
from grubridge.formats.registry import FORMATS, adapter
from grubridge.spec import GRULayer, unsupported

__all__ = ["Inspection", "LayerSummary", "StackSummary", "inspect", "list_stacks"]


@dataclass(frozen=True)
class LayerSummary:
    """One layer's sizes and conventions.

    Args:
        input_size: I.
        hidden_size: H.
        directions: "forward", "backward" or both.
        reset_after: whether the reset gate multiplies the recurrent product.
        gate_activation: of update and reset; one per direction when they differ, joined by " | ".
        candidate_activation: likewise.
        bias: "none", "input", "split" (input and recurrent), "recurrent", "input and candidate recurrent".
        clip: the limit of pre-activations, or None.
        initial_state: whether a learned initial state is stored.
    """

    input_size: int
    hidden_size: int
    directions: tuple[str, ...]
    reset_after: bool
    gate_activation: str
    candidate_activation: str
    bias: str
    clip: float | None
    initial_state: bool


@dataclass(frozen=True)
class StackSummary:
    """One stack.

    Args:
        name: what --stack calls it.
        members: the names of a chain's layers, each selectable by itself.
        layers: from the first layer up.
        dtype: of the weights.
        parameters: how many numbers it has.
        notes: what was assumed, and what the file does not say.
        targets: format name -> every reason why that format cannot hold it; empty when it can.
    """

    name: str
    members: tuple[str, ...]
    layers: tuple[LayerSummary, ...]
    dtype: str
    parameters: int
    notes: tuple[str, ...]
    targets: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Inspection:
    """A model file's GRUs.

    Args:
        path: the file.
        format: e.g. "keras".
        framework: who wrote it, as far as it says.
        stacks: its GRUs.
        others: what else in it is recurrent, and GRUs that cannot be converted, with the reason.
    """

    path: str
    format: str
    framework: str
    stacks: tuple[StackSummary, ...]
    others: tuple[str, ...]


def list_stacks(path: Path | str, *, from_format: str | None = None) -> tuple[str, ...]:
    """Return the names of the GRUs in a file, in natural order."""
    return tuple(entry.name for entry in open_artifact(path, from_format).contents.stacks)


def inspect(
    path: Path | str,
    stack: str | None = None,
    *,
    from_format: str | None = None,
    hints: ReadHints | None = None,
) -> Inspection:
    """Describe the GRUs of a file, or the one called `stack`.

    Raises:
        FileFormatError: when the file cannot be read.
        StackSelectionError: when it holds no GRU, or none of that name.
        UnsupportedFeatureError: when none of them can be converted.
    """
    artifact = open_artifact(path, from_format, hints)
    chosen = artifact.contents.stacks if stack is None else (artifact.select(stack),)
    if not chosen:
        artifact.select()  # says what the file holds instead
    found = [_summary_or_refusal(artifact, entry) for entry in chosen]
    stacks = tuple(one for one in found if isinstance(one, StackSummary))
    refused = [one for one in found if isinstance(one, UnsupportedFeatureError)]
    if not stacks:
        raise refused[0]
    contents = artifact.contents
    others = (*contents.others, *map(str, refused))
    return Inspection(str(path), artifact.format.NAME, contents.framework, stacks, others)


def _summary_or_refusal(artifact: OpenArtifact, entry: StackEntry) -> StackSummary | UnsupportedFeatureError:
    try:
        spec = artifact.read(entry)
    except UnsupportedFeatureError as error:
        return error
    return StackSummary(
        name=entry.name,
        members=tuple(member.name for member in entry.members),
        layers=tuple(_layer(layer) for layer in spec.layers),
        dtype=spec.dtype.name,
        parameters=sum(array.size for _, array in spec.arrays()),
        notes=spec.source.notes if spec.source else (),
        targets={
            one.NAME: unsupported(spec, one.CAPABILITIES, one.NAME)
            for one in map(adapter, FORMATS)
            if one.CAPABILITIES.writes
        },
    )


def _layer(layer: GRULayer) -> LayerSummary:
    directions = dict(layer.directions())
    gate = dict.fromkeys(str(direction.gate_activation) for direction in directions.values())
    candidate = dict.fromkeys(str(direction.candidate_activation) for direction in directions.values())
    return LayerSummary(
        input_size=layer.input_size,
        hidden_size=layer.hidden_size,
        directions=tuple(directions),
        reset_after=layer.reset_after,
        gate_activation=" | ".join(gate),
        candidate_activation=" | ".join(candidate),
        bias=_bias(layer),
        clip=layer.clip,
        initial_state=any(direction.initial_state is not None for direction in directions.values()),
    )


def _bias(layer: GRULayer) -> str:
    direction = next(layer.directions())[1]
    recurrent = direction.recurrent_bias
    if direction.input_bias is None:
        return "none" if recurrent is None else "recurrent"
    if recurrent is None:
        return "input"
    return "split" if recurrent.update is not None else "input and candidate recurrent"
