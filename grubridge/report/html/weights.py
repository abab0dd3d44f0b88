"""How the weights of two files lie: blocks of gates, and arrows from where each is to where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from grubridge.checker.algebra import Proof
from grubridge.checker.findings import FileProof
from grubridge.checker.pictures import WeightLayout
from grubridge.spec import CANDIDATE, GATE_NAMES, Gate

from .curves import SYMBOLS
from .numbers import figure

__all__ = ["Arrow", "Block", "Diagram", "LayoutFigure", "layout_figure"]

_WIDTH, _HEIGHT = 320, 216
_ACROSS = (52, 48)  # of a block that stands beside the next one
_DOWN = (92, 27)  # of a block that stands above the next one
_VECTOR = (62, 24)
_LINE = 17  # of text
_TENSORS: Mapping[str, tuple[str, str, str]] = {
    "keras": ("kernel", "recurrent_kernel", "bias"),
    "onnx": ("W", "R", "B"),
    "pytorch": ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0, bias_hh_l0"),
    "safetensors": ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0, bias_hh_l0"),
}
_UNNAMED = ("input weights", "recurrent weights", "biases")


@dataclass(frozen=True)
class Block:
    """The numbers of one gate in one tensor; places are those of the drawing."""

    gate: Gate
    symbol: str
    x: float
    y: float
    width: float
    height: float
    note: str = ""
    differs: bool = False


@dataclass(frozen=True)
class Arrow:
    """From a block of the first file to one of the second: a curve, and the triangle at its end."""

    gate: Gate
    line: str
    head: str


@dataclass(frozen=True)
class Diagram:
    """One tensor in both files.

    Args:
        title: what it is.
        alt: what the drawing shows, in words.
        left: its name and shape in the first file.
        right: likewise in the second.
        right_x: where that is written, ends at.
        right_y: likewise.
        blocks: of both files.
        arrows: from the first to the second.
        rows: (gate, what the largest difference is) for the table.
    """

    title: str
    alt: str
    left: str
    right: str
    right_x: float
    right_y: float
    blocks: tuple[Block, ...]
    arrows: tuple[Arrow, ...]
    rows: tuple[tuple[str, str], ...]
    width: int = _WIDTH
    height: int = _HEIGHT


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
    left, right = found[one.left], found[one.right]
    apart = _Apart(one.proof)
    names = [_TENSORS.get(side.format, _UNNAMED) for side in (left, right)]
    weights = (
        _weight(
            "Input weights", "input_weight", left.input_size, (left, right), (names[0][0], names[1][0]), apart
        ),
        _weight(
            "Recurrent weights",
            "recurrent_weight",
            left.hidden_size,
            (left, right),
            (names[0][1], names[1][1]),
            apart,
        ),
    )
    biases = _biases((left, right), (names[0][2], names[1][2]), apart)
    return LayoutFigure(one.left, one.right, tuple(_actions(left, right)), (*weights, *biases))


def _actions(left: WeightLayout, right: WeightLayout) -> Iterable[str]:
    if left.gate_order != right.gate_order:
        yield f"gates permuted: {_order(left)} becomes {_order(right)}"
    if left.rows != right.rows:
        yield "weights transposed"
    if left.takes != right.takes:
        yield "the update gate's numbers negated: z keeps the state in one file, takes the candidate in the other"
    before, after = _kinds(left), _kinds(right)
    if before != after:
        yield f"biases: {before} on the left, {after} on the right"
    if left.reset_after != right.reset_after:
        modes = ("after" if side.reset_after else "before" for side in (left, right))
        yield "reset {} the product on the left, {} on the right: no conversion makes these one".format(
            *modes
        )


def _order(layout: WeightLayout) -> str:
    return " ".join(SYMBOLS[gate] for gate in layout.gate_order)


def _kinds(layout: WeightLayout) -> str:
    recurrent = {"none": "", "all": "recurrent", "candidate": "recurrent of the candidate alone"}
    told = ["input"] * layout.input_bias + [recurrent[layout.recurrent_bias]]
    return " and ".join(filter(None, told)) or "none"


class _Apart:
    """The largest difference of each tensor, over all layers and directions."""

    def __init__(self, proof: Proof) -> None:
        self._equal = proof.equal
        self._found: dict[str, tuple[float | None, int]] = {}
        for one in proof.differences:
            if one.unit is not None:
                largest, count = self._found.get(one.tensor, (None, 0))
                sizes = [size for size in (largest, one.max_abs) if size is not None]
                self._found[one.tensor] = max(sizes, default=None), count + one.count

    def note(self, *tensors: str) -> tuple[str, bool]:
        """What a block says, and whether it differs: "=" or the size of the largest difference."""
        found = [self._found[tensor] for tensor in tensors if tensor in self._found]
        if not found:
            return "=", False
        sizes = [size for size, _ in found if size is not None]
        return (figure(max(sizes), 2) if sizes else "NaN"), True


def _weight(
    title: str,
    part: str,
    columns: int,
    sides: tuple[WeightLayout, WeightLayout],
    names: tuple[str, str],
    apart: _Apart,
) -> Diagram:
    left, right = sides
    height = 3 * left.hidden_size
    shapes = [
        f"[{columns}, {height}]" if side.rows == "input" else f"[{height}, {columns}]" for side in sides
    ]
    size = _size(right)
    corner = _WIDTH - 2 - size[0], _HEIGHT - 2 - _LINE - size[1]
    sources = {block.gate: block for block in _tensor(left, 2, 2 + _LINE)}
    targets: dict[Gate, Block] = {}
    rows = []
    for block in _tensor(right, *corner):
        note, differs = apart.note(f"{part}.{block.gate}")
        targets[block.gate] = replace(block, note=note, differs=differs)
    for gate in GATE_NAMES:
        rows.append((SYMBOLS[gate], _told(targets[gate])))
    arrows = tuple(_arrow(sources[gate], targets[gate], sides) for gate in GATE_NAMES)
    alt = (
        f"{title}: {names[0]} {shapes[0]} holds the gates in the order {_order(left)}, {_way(left)}; "
        f"{names[1]} {shapes[1]} in the order {_order(right)}, {_way(right)}. "
        f"Largest differences: {', '.join(f'{symbol} {told}' for symbol, told in rows)}."
    )
    return Diagram(
        title,
        alt,
        f"{names[0]} {shapes[0]}",
        f"{names[1]} {shapes[1]}",
        _WIDTH - 2,
        _HEIGHT - 5,
        (*sources.values(), *targets.values()),
        arrows,
        tuple(rows),
    )


def _told(block: Block) -> str:
    return block.note if block.differs else "none"


def _way(layout: WeightLayout) -> str:
    return "side by side" if layout.rows == "input" else "one above the other"


def _size(layout: WeightLayout) -> tuple[int, int]:
    return (3 * _ACROSS[0], _ACROSS[1]) if layout.rows == "input" else (_DOWN[0], 3 * _DOWN[1])


def _tensor(layout: WeightLayout, x: float, y: float) -> Iterable[Block]:
    for index, gate in enumerate(layout.gate_order):
        if layout.rows == "input":
            yield Block(gate, SYMBOLS[gate], x + index * _ACROSS[0], y, *_ACROSS)
        else:
            yield Block(gate, SYMBOLS[gate], x, y + index * _DOWN[1], *_DOWN)


def _arrow(source: Block, target: Block, sides: tuple[WeightLayout, WeightLayout]) -> Arrow:
    """A curve that leaves a tensor across its stacked axis, and enters the other likewise."""
    down, into_top = (side.rows == "input" for side in sides)
    x0, y0 = (
        (source.x + source.width / 2, source.y + source.height)
        if down
        else (source.x + source.width, source.y + source.height / 2)
    )
    x1, y1 = (target.x + target.width / 2, target.y) if into_top else (target.x, target.y + target.height / 2)
    return _curve(source.gate, (x0, y0), (x1, y1), down=down, into_top=into_top)


def _curve(
    gate: Gate, start: tuple[float, float], end: tuple[float, float], *, down: bool, into_top: bool
) -> Arrow:
    (x0, y0), (x1, y1) = start, end
    tip = 6
    stop = (x1, y1 - tip) if into_top else (x1 - tip, y1)
    bend = 0.55 * max(abs(stop[0] - x0), abs(stop[1] - y0), 40)
    first = (x0, y0 + bend) if down else (x0 + bend, y0)
    last = (stop[0], stop[1] - bend) if into_top else (stop[0] - bend, stop[1])
    line = f"M{x0:g} {y0:g}C{first[0]:.1f} {first[1]:.1f} {last[0]:.1f} {last[1]:.1f} {stop[0]:g} {stop[1]:g}"
    wing = (
        (f"{x1 - 4:g} {y1 - tip:g} {x1 + 4:g} {y1 - tip:g}")
        if into_top
        else (f"{x1 - tip:g} {y1 - 4:g} {x1 - tip:g} {y1 + 4:g}")
    )
    return Arrow(gate, line, f"M{x1:g} {y1:g} {wing}Z")


def _biases(
    sides: tuple[WeightLayout, WeightLayout], names: tuple[str, str], apart: _Apart
) -> Iterable[Diagram]:
    """The biases, if either file has any: vectors above each other, input first."""
    left, right = sides
    if _kinds(left) == _kinds(right) == "none":
        return
    x = (_WIDTH - 3 * _VECTOR[0]) / 2
    height = sum(_vectors(right)) * _VECTOR[1] or _VECTOR[1]
    sources = list(_vector_blocks(left, x, 2 + _LINE))
    targets = []
    for block, recurrent in _vector_blocks(right, x, _HEIGHT - 2 - _LINE - height):
        note, differs = _bias_note(block.gate, apart, recurrent=recurrent, alone=sum(_vectors(right)) == 1)
        targets.append(replace(block, note=note, differs=differs))
    arrows = []
    rows = []
    for gate in GATE_NAMES:
        above = [block for block, _ in sources if block.gate == gate]
        below = [block for block in targets if block.gate == gate]
        if above and below:
            start, end = above[-1], below[0]
            points = (start.x + start.width / 2, start.y + start.height), (end.x + end.width / 2, end.y)
            arrows.append(_curve(gate, *points, down=True, into_top=True))
        tensors = [f"bias.{gate} (sum)"] + [f"{part}_bias.{gate}" for part in ("input", "recurrent")]
        note, differs = apart.note(*tensors)
        rows.append((SYMBOLS[gate], note if differs else "none"))
    titles = [
        f"{name} ({_kinds(side)})" if _kinds(side) != "none" else "no bias"
        for name, side in zip(names, sides, strict=True)
    ]
    alt = (
        f"Biases: {titles[0]} in the order {_order(left)}; {titles[1]} in the order {_order(right)}. "
        f"Largest differences: {', '.join(f'{symbol} {told}' for symbol, told in rows)}."
    )
    blocks = (*(block for block, _ in sources), *targets)
    yield Diagram(
        "Biases", alt, titles[0], titles[1], _WIDTH - 2, _HEIGHT - 5, blocks, tuple(arrows), tuple(rows)
    )


def _vectors(layout: WeightLayout) -> tuple[bool, bool]:
    return layout.input_bias, layout.recurrent_bias != "none"


def _vector_blocks(layout: WeightLayout, x: float, y: float) -> Iterable[tuple[Block, bool]]:
    """The blocks of the biases, and whether each is of the recurrent one."""
    for recurrent, there in enumerate(_vectors(layout)):
        if there:
            for index, gate in enumerate(layout.gate_order):
                if not recurrent or layout.recurrent_bias == "all" or gate == CANDIDATE:
                    yield Block(gate, SYMBOLS[gate], x + index * _VECTOR[0], y, *_VECTOR), bool(recurrent)
            y += _VECTOR[1]


def _bias_note(gate: Gate, apart: _Apart, *, recurrent: bool, alone: bool) -> tuple[str, bool]:
    """What a bias says: of z and r, and of n where one file has one bias, only the sums can be compared."""
    if recurrent and not alone:
        return apart.note(f"recurrent_bias.{gate}") if gate == CANDIDATE else ("", False)
    own = ("input_bias",) if not alone else ("input_bias", "recurrent_bias")
    return apart.note(f"bias.{gate} (sum)", *(f"{part}.{gate}" for part in own))
