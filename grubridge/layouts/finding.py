"""Which tensors of a file a layout names: the cells in it, whatever stands in front of the names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import listed, printable
from grubridge.spec import DTYPES, Direction, GRUDirection, GRULayer

from .description import CellLayout, TensorLayout
from .reading import read_direction
from .shapes import check_shapes, sizes

__all__ = ["FoundStack", "find", "of_place"]

_PREFIX = r"(?P<prefix>(?:.*[./])?)"
_LAYER = r"(?P<layer>0|[1-9][0-9]{0,2})"

_Place = tuple[int, Direction]


def of_place(layout: CellLayout, layer: int, direction: Direction) -> CellLayout:
    """Return the layout of one direction of one layer, the placeholders of its names filled in."""
    ending = layout.directions[direction]
    return replace(
        layout,
        tensors=tuple(
            replace(one, name=one.name.replace("{layer}", str(layer)).replace("{direction}", ending))
            for one in layout.tensors
        ),
    )


@dataclass
class FoundStack:
    """The tensors that stand behind one prefix.

    Args:
        layout: which names them.
        prefix: what stands in front of the names, "" or something that ends in "." or "/".
        names: of the tensors, without the prefix.
        places: the layers as the names count them, and the directions, of which there is any tensor.
    """

    layout: CellLayout
    prefix: str
    names: set[str] = field(default_factory=set)
    places: set[_Place] = field(default_factory=set)

    @property
    def recurrent(self) -> bool:
        """Whether there is a weight that multiplies h; tensors of other layers may have the other names."""
        return any(
            tensor.name in self.names for tensor in self._tensors() if "recurrent_weight" in tensor.holds
        )

    def missing(self) -> tuple[str, ...]:
        """Return the names, with the prefix, of what the cells need and the file has not."""
        return tuple(
            self.prefix + tensor.name
            for tensor in self._tensors()
            if not tensor.optional and tensor.name not in self.names
        )

    def claimed(self) -> tuple[str, ...]:
        """Return the names of its tensors in the file."""
        return tuple(self.prefix + name for name in sorted(self.names))

    def read(self, tensors: Mapping[str, StoredTensor]) -> tuple[GRULayer, ...]:
        """Read the layers; all sizes are checked first.

        Args:
            tensors: the file's, by their names there.

        Raises:
            InvalidSpecError: when tensors are missing, or do not fit together.
            UnsupportedFeatureError: when no spec can hold what the cell does.
        """
        self.check(tensors)
        own = {name: tensors[self.prefix + name] for name in self.names}
        output = self.layout.output_activation
        layers: list[GRULayer] = []
        for number in self._numbers():
            directions: dict[Direction, GRUDirection] = {}
            reset_after = True
            for direction in self._directions(number):
                place = of_place(self.layout, number, direction)
                arrays = {one.name: own[one.name].read() for one in place.tensors if one.name in own}
                directions[direction], reset_after = read_direction(place, arrays)
            layers.append(GRULayer(directions.get("forward"), directions.get("backward"), reset_after))
        if output is not None and len(layers) > 1:
            reason = f"the next layer takes {output} of the states; grubridge's layers pass the states on"
            raise UnsupportedFeatureError(reason, [reason])
        return tuple(layers)

    def check(self, tensors: Mapping[str, StoredTensor]) -> None:
        """Hold dtypes and shapes against the layout; arguments and errors are those of `read`."""
        if missing := self.missing():
            raise InvalidSpecError(
                f"the layout {printable(self.layout.name)} needs {listed(missing)}, which the file has not"
            )
        own = {name: tensors[self.prefix + name] for name in self.names}
        below: int | None = None
        dtype = next(own[name].dtype for name in sorted(own))
        for name in sorted(own):
            if own[name].dtype not in DTYPES or own[name].dtype != dtype:
                raise InvalidSpecError(
                    f"tensor {printable(name)} should be one of {', '.join(DTYPES)}, and all tensors the "
                    f"same; received {own[name].dtype}, and {dtype} of another"
                )
        for number in self._numbers():
            outputs = 0
            for direction in self._directions(number):
                place = of_place(self.layout, number, direction)
                shapes = {one.name: own[one.name].shape for one in place.tensors if one.name in own}
                input_size, hidden_size = sizes(place, shapes)
                check_shapes(place, shapes, input_size, hidden_size)
                if below is not None and input_size != below:
                    raise InvalidSpecError(
                        f"layer {number} takes {input_size} inputs, and the layer below it gives {below}: "
                        "the file is damaged, or these are no layers of one stack"
                    )
                outputs += hidden_size
            below = outputs

    def _tensors(self) -> Iterator[TensorLayout]:
        """Yield the tensors that the cells have or lack."""
        for number in self._numbers():
            for direction in self._directions(number):
                yield from of_place(self.layout, number, direction).tensors

    def _numbers(self) -> range:
        """The layers, as the names count them: from 0, or from 1 where there is no 0."""
        numbers = {number for number, _ in self.places}
        return range(0 if 0 in numbers or not self.layout.has_layers else 1, max(numbers) + 1)

    def _directions(self, number: int) -> tuple[Direction, ...]:
        return ("forward", "backward") if (number, "backward") in self.places else ("forward",)


def find(layout: CellLayout, names: Collection[str]) -> tuple[FoundStack, ...]:
    """Return what `layout` names among `names`, by prefix, in the order of `names`; some may lack tensors."""
    directions = {text: direction for direction, text in layout.directions.items()}
    patterns = [_pattern(layout, tensor) for tensor in layout.tensors]
    found: dict[str, FoundStack] = {}
    for name in names:
        for pattern in patterns:
            match = pattern.fullmatch(name)
            if match is None:
                continue
            groups = match.groupdict()
            prefix, ending = groups["prefix"], groups.get("direction", layout.directions["forward"])
            stack = found.setdefault(prefix, FoundStack(layout, prefix))
            stack.names.add(name[len(prefix) :])
            stack.places.add((int(groups.get("layer", 0)), directions[ending]))
    return tuple(stack for stack in found.values() if stack.recurrent)


def _pattern(layout: CellLayout, tensor: TensorLayout) -> re.Pattern[str]:
    endings = "|".join(re.escape(layout.directions[way]) for way in ("backward", "forward"))
    pieces = re.split(r"(\{layer\}|\{direction\})", tensor.name)
    filled = {"{layer}": _LAYER, "{direction}": f"(?P<direction>{endings})"}
    return re.compile(_PREFIX + "".join(filled.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)
