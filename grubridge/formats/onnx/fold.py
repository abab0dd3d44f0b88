"""The constants of an ONNX graph: what exporters compute from initializers before a GRU receives it.

Values are views where they can be; what must be copied is held against a budget. The walk is a loop, so
that no depth of nodes exhausts the stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grubridge.errors import UnsafeFileError
from grubridge.files.limits import excess
from grubridge.files.text import quoted
from grubridge.spec import Array

from .attributes import describe
from .graph import STANDARD_DOMAINS, Definition, Scope
from .messages import NodeProto, TensorProto, ValueInfoProto
from .ops import OPERATORS, Call
from .tensors import Tensors

__all__ = ["Folder", "RunTime"]

_BUDGET = 64 << 20
_SHAPE_OF_ONES = np.ones(8, np.int64)

Place = tuple[Scope, str]


@dataclass(frozen=True)
class RunTime:
    """Stands for a value that is known only when the model runs; `reason` completes "it ..."."""

    reason: str


class Folder:
    """Computes the constants of a model, each once.

    Args:
        tensors: the model's tensors.
        given: values that are to be taken as known, e.g. a made-up output of a GRU.
        batch_of_one: take the shape of every run-time value as ones: what an initial state made "for the
            batch of x" looks like for a batch of one.
    """

    def __init__(
        self, tensors: Tensors, *, given: Mapping[Place, Array] | None = None, batch_of_one: bool = False
    ) -> None:
        self._tensors = tensors
        self._batch_of_one = batch_of_one
        self._values: dict[Place, Array | RunTime] = dict(given or {})
        self._budget = _BUDGET + 2 * tensors.size
        self._taken = 0

    def value(self, scope: Scope, name: str) -> Array | RunTime:
        """Return the value that `name` stands for in `scope`.

        Raises:
            FileFormatError: when a tensor on the way is damaged.
            UnsafeFileError: when the constants of the model would take far more memory than its file.
        """
        goal = (scope.home(name) or scope, name)
        waiting = [goal]
        while waiting:
            place = waiting[-1]
            if place not in self._values:
                missing = self._missing(place)
                if missing:
                    waiting += missing
                    continue
                self._values[place] = self._compute(place)
            waiting.pop()
        return self._values[goal]

    def _missing(self, place: Place) -> list[Place]:
        """Return the inputs that must be computed before `place` can be."""
        node = place[0].definitions.get(place[1])
        if not isinstance(node, NodeProto) or _unknown(node, place[1]):
            return []
        return [source for source in self._inputs(place[0], node) if source and source not in self._values]

    def _inputs(self, scope: Scope, node: NodeProto) -> list[Place | None]:
        return [(scope.home(name) or scope, name) if name else None for name in node.input]

    def _compute(self, place: Place) -> Array | RunTime:
        scope, name = place
        definition: Definition | None = scope.definitions.get(name)
        if definition is None:
            return RunTime("is not defined anywhere in the model")
        if isinstance(definition, ValueInfoProto):
            return RunTime(f"comes from the model's input {quoted(name)}")
        if isinstance(definition, TensorProto):
            return self._tensors.array(definition)
        if _unknown(definition, name):
            return RunTime(f"is computed at run time by {describe(definition)}")
        inputs = [self._values[source] if source else None for source in self._inputs(scope, definition)]
        return self._apply(definition, inputs)

    def _apply(self, node: NodeProto, inputs: list[Array | RunTime | None]) -> Array | RunTime:
        known: list[Array | None] = []
        for value in inputs:
            if isinstance(value, RunTime):
                return _SHAPE_OF_ONES if self._batch_of_one and node.op_type == "Shape" else value
            known.append(value)
        try:
            return OPERATORS[node.op_type](Call(node, known, self._tensors, self._take))
        except (ValueError, IndexError, TypeError, ArithmeticError):
            return RunTime(f"cannot be computed: {describe(node)} does not fit its inputs")

    def _take(self, size: int) -> None:
        """Account for `size` bytes of a new array, before it is made."""
        self._taken += max(size, 0)
        if problem := excess(self._taken, self._budget):
            raise UnsafeFileError(f"computing its constants {problem}")


def _unknown(node: NodeProto, name: str) -> bool:
    """Whether `name`, made by `node`, can be known at run time only."""
    if node.domain not in STANDARD_DOMAINS or name != node.output[0]:
        return True
    return node.op_type not in OPERATORS
