"""What is tried, in which order, and when it is enough.

First the usual activations, sigmoid and tanh, then an output that is tanh of the state, then others; the
first tensors with which something fits are finished, unless there is very much to try, and are the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product

from grubridge.checker.recording import Recording
from grubridge.files.tensors import StoredTensor
from grubridge.layouts.description import CellLayout
from grubridge.reference.arithmetic import UNIT_ROUNDOFF
from grubridge.spec import SIGMOID, TANH, Activation, hard_sigmoid

from .assembly import layouts
from .biases import Biases
from .choices import substitutions, weight_choices
from .free_runs import FreeRuns
from .guesses import Guesses
from .screen import Functions, Hit, Screen, Steps
from .states import known_steps, recovered
from .structures import Structure, structures

__all__ = ["Found", "search"]

_USUAL = Functions(SIGMOID, TANH)
_GATES = (SIGMOID, hard_sigmoid(0.2), hard_sigmoid(1 / 6))
_CANDIDATES = (
    TANH,
    Activation("relu"),
    Activation("softsign"),
    SIGMOID,
    Activation("elu", 1.0),
    Activation("softplus"),
    Activation("affine", 1.0, 0.0),
)
_OTHERS = tuple(Functions(*pair) for pair in product(_GATES, _CANDIDATES) if Functions(*pair) != _USUAL)

_HYPOTHESES, _OF_OTHERS, _AFTER_A_FIT = 1e9, 3e7, 5e7
"""Cells tried on single steps: with the usual activations, with any others, and once one of them fits."""
_COST, _COST_OF_OTHERS, _COST_AFTER_A_FIT = 4e4, 1e4, 4e3
"""Likewise of whole runs, in steps of a small layer."""

_STRUCTURES = 64  # modules of a large checkpoint, and ways to count layers and directions
_HITS = 64  # cells that fit on the steps looked at, and are named
_ALIKE = 1e-2  # of the tolerance: errors below it are one as good as the other
_NEAR = 8  # layouts that are kept where none fits


@dataclass
class Found:
    """What a search found.

    Args:
        near: (largest error on the steps looked at, layout), the smallest first.
        tolerance: errors up to it may be rounding.
        tried: how many cells.
        cut: what was left out, in words.
    """

    tolerance: float
    near: list[tuple[float, CellLayout]] = field(default_factory=list)
    tried: int = 0
    cut: set[str] = field(default_factory=set)

    @property
    def fits(self) -> list[CellLayout]:
        """The layouts within the tolerance."""
        return [layout for error, layout in self.near if error <= self.tolerance]

    def has(self, hits: list[Hit]) -> bool:
        """Whether one of `hits`, the smallest error first, is within the tolerance."""
        return bool(hits) and hits[0].error <= self.tolerance

    def add(self, error: float, layout: CellLayout) -> None:
        """Keep a layout if it is among the nearest, or fits."""
        if error > self.tolerance and len(self.near) >= _NEAR and error >= self.near[-1][0]:
            return
        self.near.append((max(error, self.tolerance * _ALIKE), layout))
        self.near.sort(key=lambda one: one[0])  # stable: of those that fit alike the plainest comes first
        while len(self.near) > _NEAR and self.near[-1][0] > self.tolerance:
            self.near.pop()


def search(
    tensors: Mapping[str, StoredTensor],
    recording: Recording,
    *,
    usual_only: bool = False,
    known: bool = False,
) -> Found:
    """Return the layouts with which `tensors` may have made the outputs of `recording`.

    Args:
        tensors: of the checkpoint, in its order.
        recording: the run.
        usual_only: try no activations but the usual ones.
        known: a layout that fits is known; look for others on single steps, which is cheap, and not for long.
    """
    found = Found(max(1e-3, 32 * UNIT_ROUNDOFF[recording.dtype]))
    possible = list(structures(tensors, recording.x.shape[2], recording.outputs.shape[-1]))
    if len(possible) > _STRUCTURES:
        found.cut |= {f"only the first {_STRUCTURES} of {len(possible)} modules were looked at: use --stack"}
    if any(structure.cut for structure in possible):
        found.cut |= {"not every vector was tried as a bias: use --stack"}
    possible = possible[:_STRUCTURES]
    runs = [(FreeRuns(recording, tensors, structure), Guesses(structure)) for structure in possible]
    for functions, output, together in islice(_passes(), 1 if usual_only or known else None):
        for structure, (own, guesses) in zip(possible, runs, strict=True):
            steps = _steps(recording, structure, output)
            if steps is not None and together:
                _try_steps(found, structure, steps, functions, output, known=known)
            elif steps is None and not known and (len(structure.numbers) > 1 or recording.hidden is None):
                _try_runs(found, own, guesses.layouts(functions, output, together=together), functions)
            if found.fits:
                return found
    return found


def _passes() -> Iterator[tuple[Functions, Activation | None, bool]]:
    """Yield activations, what becomes of the output, and whether names and orders are believed."""
    for together in (True, False):
        yield from ((_USUAL, output, together) for output in (None, TANH))
    yield from ((functions, output, True) for output in (None, TANH) for functions in _OTHERS)


def _steps(recording: Recording, structure: Structure, output: Activation | None) -> Steps | None:
    """Return the steps that can be looked at one by one; None where only a whole run can."""
    if len(structure.numbers) > 1 or recording.hidden is None:
        return None
    states = recording if output is None else recovered(recording, output)
    return None if states is None else known_steps(states, structure.hidden_size)


def _try_steps(
    found: Found,
    structure: Structure,
    steps: Steps,
    functions: Functions,
    output: Activation | None,
    *,
    known: bool,
) -> None:
    biases = Biases(structure.biases, structure.hidden_size)
    screen = Screen(steps, biases, found.tolerance)
    hits: list[Hit] = []

    def rank(hit: Hit) -> tuple[float, int]:
        names = [hit.choice.names(*pair) for pair in hit.weights.values()]
        return max(hit.error, found.tolerance * _ALIKE), substitutions(names)

    limit = _HYPOTHESES if functions == _USUAL else _OF_OTHERS
    for choice in weight_choices(structure.weights):
        if screen.tried > (_AFTER_A_FIT if known or found.has(hits) else limit):
            found.cut |= {f"not every set of tensors was tried as weights, with {_said(functions)}"}
            break
        hits = sorted([*hits, *screen.search(choice, functions)], key=rank)[:_HITS]
    found.tried += screen.tried
    for hit in hits:
        for layout in islice(layouts(hit, biases, output, structure.endings), 1):
            found.add(hit.error, layout)


def _try_runs(found: Found, runs: FreeRuns, tried: Iterator[CellLayout], functions: Functions) -> None:
    limit = runs.cost + (_COST if functions == _USUAL else _COST_OF_OTHERS)
    for layout in tried:
        if runs.cost > limit:
            found.cut |= {f"not every order of the tensors was tried, with {_said(functions)}"}
            return
        error = runs.error(layout)
        if error is None:
            continue
        found.tried += 1
        found.add(error, layout)
        if error <= found.tolerance:
            limit = min(limit, runs.cost + _COST_AFTER_A_FIT)


def _said(functions: Functions) -> str:
    return "sigmoid and tanh" if functions == _USUAL else "other activations"
