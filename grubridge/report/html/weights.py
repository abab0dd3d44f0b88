"""How the weights of two files lie: blocks of gates, and arrows from where each is to where it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from grubridge.checker.algebra import Proof
from grubridge.checker.findings import FileProof
from grubridge.checker.pictures import WeightLayout
from grubridge.spec import CANDIDATE, GATE_NAMES, Gate

from .blocks import HEIGHT, LINE, WIDTH, Arrow, Block, arrow, tensor, tensor_size, vectors
from .curves import SYMBOLS
from .numbers import figure

__all__ = ["Diagram", "LayoutFigure", "layout_figure"]

_TENSORS: Mapping[str, tuple[str, str, str]] = {
    "keras": ("kernel", "recurrent_kernel", "bias"),
    "onnx": ("W", "R", "B"),
    "pytorch": ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0, bias_hh_l0"),
    "safetensors": ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0, bias_hh_l0"),
}
_UNNAMED = ("input weights", "recurrent weights", "biases")
_EDGE = 2

_Sides = tuple[WeightLayout, WeightLayout]
_Names = tuple[str, str]


@dataclass(frozen=True)
class Diagram:
    """One tensor in both files.

    Args:
        title: what it is.
        alt: what the drawing shows, in words.
        left: its name and shape in the first file, the upper one.
        right: likewise in the second.
        blocks: of both files.
        arrows: from the first to the second.
        rows: (gate, its largest difference) for the table.
    """

    title: str
    alt: str
    left: str
    right: str
    blocks: tuple[Block, ...]
    arrows: tuple[Arrow, ...]
    rows: tuple[tuple[str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class LayoutFigure:
    """How the weights of two files lie, tensor by tensor.

    Args:
        left: label of the first file.
        right: label of the second.
        actions: what a conversion from the one to the other does.
        diagrams: one per tensor.
    """

    left: str
    right: str
    actions: tuple[str, ...]
    diagrams: tuple[Diagram, ...]


def layout_figure(one: FileProof, layouts: Sequence[WeightLayout]) -> LayoutFigure | None:
    """Return the drawing of two files; None where a layout is not known."""
    found = {layout.label: layout for layout in layouts}
    if not {one.left, one.right} <= found.keys():
        return None
    left, right = sides = found[one.left], found[one.right]
    left_names, right_names = (_TENSORS.get(side.format, _UNNAMED) for side in sides)
    kernels, recurrent, biases = zip(left_names, right_names, strict=True)
    apart = _Apart(one.proof)
    diagrams = [
        _weight("Input weights", ("input_weight", left.input_size), sides, kernels, apart),
        _weight("Recurrent weights", ("recurrent_weight", left.hidden_size), sides, recurrent, apart),
    ]
    if _biases_of(left) != "none" or _biases_of(right) != "none":
        diagrams.append(_biases(sides, biases, apart))
    return LayoutFigure(one.left, one.right, tuple(_actions(left, right)), tuple(diagrams))


def _actions(left: WeightLayout, right: WeightLayout) -> Iterator[str]:
    if left.gate_order != right.gate_order:
        yield f"gates permuted: {_order(left)} becomes {_order(right)}"
    if left.rows != right.rows:
        yield "weights transposed"
    if left.takes != right.takes:
        keeping, taking = ("first", "second") if right.takes else ("second", "first")
        yield f"update gate negated: z keeps in the {keeping} file, and takes the candidate in the {taking}"
    before, after = _biases_of(left), _biases_of(right)
    if before != after:
        yield f"biases: {before} in the first file, {after} in the second"
    if left.reset_after != right.reset_after:
        first, second = ("after" if side.reset_after else "before" for side in (left, right))
        yield f"reset {first} the product in the first file, {second} it in the second: two functions"


def _order(layout: WeightLayout) -> str:
    return " ".join(SYMBOLS[gate] for gate in layout.gate_order)


def _biases_of(layout: WeightLayout) -> str:
    recurrent = {"none": "", "all": "recurrent", "candidate": "recurrent of the candidate alone"}
    told = ("input" if layout.input_bias else "", recurrent[layout.recurrent_bias])
    return " and ".join(filter(None, told)) or "none"


class _Apart:
    """The largest difference of each tensor, over all layers and directions."""

    def __init__(self, proof: Proof) -> None:
        self._sizes: dict[str, list[float]] = {}
        for one in proof.differences:
            if one.unit is not None:
                sizes = self._sizes.setdefault(one.tensor, [])
                sizes += [] if one.max_abs is None else [one.max_abs]

    def note(self, *tensors: str) -> tuple[str, bool]:
        """Return what a block says of tensors, "=" or the largest difference, and whether they differ."""
        found = [self._sizes[tensor] for tensor in tensors if tensor in self._sizes]
        if not found:
            return "=", False
        return figure(max((size for sizes in found for size in sizes), default=float("nan")), 2), True


def _weight(title: str, part: tuple[str, int], sides: _Sides, names: _Names, apart: _Apart) -> Diagram:
    """Draw one weight: the first file's in the upper left corner, the second's in the lower right one.

    Args:
        title: of the drawing.
        part: its name in a spec, and its columns there.
        sides: both layouts.
        names: of the tensor in both files.
        apart: how the numbers differ.
    """
    left, right = sides
    name, columns = part
    stacked = 3 * left.hidden_size
    shapes = [[columns, stacked] if side.rows == "input" else [stacked, columns] for side in sides]
    width, height = tensor_size(right)
    sources = {block.gate: block for block in tensor(left, _EDGE, _EDGE + LINE)}
    targets: dict[Gate, Block] = {}
    for block in tensor(right, WIDTH - _EDGE - width, HEIGHT - _EDGE - LINE - height):
        note, differs = apart.note(f"{name}.{block.gate}")
        targets[block.gate] = replace(block, note=note, differs=differs)
    down, into_top = (side.rows == "input" for side in sides)
    arrows = (arrow(sources[gate], targets[gate], down=down, into_top=into_top) for gate in GATE_NAMES)
    notes = ((SYMBOLS[gate], targets[gate].note) for gate in GATE_NAMES)
    labels = [f"{named} {shape}" for named, shape in zip(names, shapes, strict=True)]
    return _diagram(title, labels, sides, (*sources.values(), *targets.values()), tuple(arrows), tuple(notes))


def _biases(sides: _Sides, names: _Names, apart: _Apart) -> Diagram:
    """Draw the biases: vectors above each other, the first file's above the second's."""
    _, right = sides
    rows = right.input_bias + (right.recurrent_bias != "none")
    sources = [block for block, _ in vectors(sides[0], _EDGE + LINE)]
    below = list(vectors(right, 0))
    height = max((block.y + block.height for block, _ in below), default=0)
    targets = []
    for block, recurrent in below:
        note, differs = _bias_note(block.gate, apart, recurrent=recurrent, alone=rows == 1)
        moved = block.y + HEIGHT - _EDGE - LINE - height
        targets.append(replace(block, y=moved, note=note, differs=differs))
    arrows = []
    notes = []
    for gate in GATE_NAMES:
        above = [block for block in sources if block.gate == gate]
        under = [block for block in targets if block.gate == gate]
        if above and under:
            arrows.append(arrow(above[-1], under[0], down=True, into_top=True))
        tensors = (f"bias.{gate} (sum)", f"input_bias.{gate}", f"recurrent_bias.{gate}")
        notes.append((SYMBOLS[gate], apart.note(*tensors)[0]))
    kinds = [_biases_of(side) for side in sides]
    labels = [
        "no bias" if kind == "none" else f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True)
    ]
    return _diagram("Biases", labels, sides, (*sources, *targets), tuple(arrows), tuple(notes))


def _bias_note(gate: Gate, apart: _Apart, *, recurrent: bool, alone: bool) -> tuple[str, bool]:
    """What a bias says: of z and r, and of n where one file has one bias, only the sums can be compared."""
    if recurrent and not alone:
        return apart.note(f"recurrent_bias.{gate}") if gate == CANDIDATE else ("", False)
    own = ("input_bias", "recurrent_bias") if alone else ("input_bias",)
    return apart.note(f"bias.{gate} (sum)", *(f"{part}.{gate}" for part in own))


def _diagram(
    title: str,
    labels: Sequence[str],
    sides: _Sides,
    blocks: tuple[Block, ...],
    arrows: tuple[Arrow, ...],
    notes: tuple[tuple[str, str], ...],
) -> Diagram:
    rows = tuple((symbol, "none" if note == "=" else note) for symbol, note in notes)
    lie = (f"{label} in the order {_order(side)}" for label, side in zip(labels, sides, strict=True))
    told = ", ".join(f"{symbol} {note}" for symbol, note in rows)
    alt = f"{title}: {' becomes '.join(lie)}. Largest differences: {told}."
    return Diagram(title, alt, labels[0], labels[1], blocks, arrows, rows)
