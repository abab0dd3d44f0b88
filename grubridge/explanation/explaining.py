"""explain: a layer of a GRU, worked out on one sequence with the numbers that it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grubridge.diagnosis.hypotheses import site
from grubridge.errors import ProbeError
from grubridge.formats.base import ReadHints
from grubridge.layouts.description import CellLayout
from grubridge.reference import cell, run
from grubridge.spec import Activation, Array, Direction, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import Place, Probe, previous_state

from .arithmetic import MOST_TERMS, Step, work_out
from .expectation import Expectation
from .inputs import read_inputs
from .mistakes import Calculation
from .search import Search, Wanted
from .source import find

__all__ = ["Explanation", "explain"]

_MOST_DIGITS = 17


@dataclass(frozen=True)
class Explanation:
    """What a layer does with one sequence, in float64.

    Args:
        model: the file, or the kind of the object in memory.
        stack: the name of the GRU in it.
        spec: what it computes.
        layout: how its framework stores it, and in which sense it means z; None where that is not known.
        place: the layer and direction that is explained.
        probe: the sequence; B is 1.
        start: the state before the first step that is read, [H].
        hidden: the states, [T, H], in the order of the sequence.
        units: the units that are worked out.
        steps: the steps that are worked out, in the order in which they are read.
        answer: the step whose state is the answer: the one asked for, or the last that is read.
        expectations: what is known about each expected value.
        notes: what a reader should know.
        digits: significant digits of the numbers in a report.
    """

    model: str
    stack: str
    spec: GRUSpec
    layout: CellLayout | None
    place: Place
    probe: Probe
    start: Array
    hidden: Array
    units: tuple[int, ...]
    steps: tuple[Step, ...]
    answer: int
    expectations: tuple[Expectation, ...]
    notes: tuple[str, ...]
    digits: int = 4

    @property
    def layer(self) -> GRULayer:
        """The layer that is explained."""
        return self.spec.layers[self.place[0]]

    @property
    def direction(self) -> GRUDirection:
        """The direction that is explained, its update gate as the file means it (see `takes`)."""
        found = dict(self.layer.directions())[self.place[1]]
        return found.complement_update() if self.takes else found

    @property
    def takes(self) -> bool:
        """Whether z is told as the file means it, h' = (1 - z)*h + z*n, where the spec's keeps."""
        return self.layout is not None and self.layout.update == "takes"

    @property
    def output_activation(self) -> Activation | None:
        """The function of the states that the model returns, if this is its last layer and it has one."""
        return self.spec.io.output_activation if self.place[0] == len(self.spec.layers) - 1 else None


def explain(  # noqa: PLR0913 - the options of one command
    model: object,
    inputs: object,
    *,
    stack: str | None = None,
    layer: int = 0,
    direction: Direction | None = None,
    step: int | None = None,
    unit: int | None = None,
    expect: Sequence[str] = (),
    digits: int = 4,
    hints: ReadHints | None = None,
) -> Explanation:
    """Work out a layer of a GRU on one sequence, step by step, with the numbers that it has.

    Args:
        model: the path of a model file; typed weights, as a mapping or the path of a .json file that holds
            one (Keras's kernel, recurrent_kernel and bias, PyTorch's weight_ih_l0 and so on, or the tensors
            of `hints.layout`); or a model in memory, as `trace` takes it.
        inputs: x [T, I] or [B, T, I], of which the first sequence is taken, and [T] where I is 1; a mapping
            of x and, if wanted, initial_state [L*D, B, H] and lengths [B]; the path of a .csv file with a row
            a step, of an .npy or an .npz file; or a text of numbers, "1,2,9,8".
        stack: which GRU of the model; None when there is one.
        layer: from 0.
        direction: "forward" or "backward"; None for forward, where there is one.
        step: the only step that is worked out, from 0; None for all.
        unit: the only unit that is worked out, from 0; None for all of a layer of up to 4, else the first.
        expect: values that somebody expected in place of the state at `step` or at the last step, as text
            with the digits that they have.
        digits: significant digits of the numbers in a report.
        hints: what a file of weights does not say itself.

    Raises:
        FileFormatError: when the model cannot be read.
        InvalidSpecError: when typed weights or the object in memory are no GRU.
        StackSelectionError: when there is no GRU, or several and none was chosen.
        ProbeError: when the inputs do not fit, or there is no such layer, direction, step or unit, or an
            expected value is no number.
    """
    found = find(model, stack, layer, hints or ReadHints())
    place, units = _chosen(found.spec, layer, direction, unit)
    if not 1 <= digits <= _MOST_DIGITS:
        raise ProbeError(f"digits must be 1 to {_MOST_DIGITS}; received {digits}")
    probe, note = read_inputs(inputs, found.spec)
    if step is not None and not 0 <= step < probe.steps:
        raise ProbeError(
            f"step must be 0 to {probe.steps - 1}, for the sequence is that long; received {step}"
        )
    with np.errstate(all="ignore"):  # weights may hold NaN, of which the user has been warned
        made = run(found.spec, probe)[place]
    order = list(range(probe.steps))[:: 1 if place[1] == "forward" else -1]
    answer = order[-1] if step is None else step
    start, hidden = made.initial_state[0], made.hidden[0]
    story = Explanation(
        model=found.model,
        stack=found.stack,
        spec=found.spec,
        layout=found.layout,
        place=place,
        probe=probe,
        start=start,
        hidden=hidden,
        units=units,
        steps=(),
        answer=answer,
        expectations=(),
        notes=(*found.notes, *([note] if note else [])),
        digits=digits,
    )
    previous = previous_state(place[1], made.hidden, made.initial_state, None)[0]
    numbers = cell(story.layer, story.direction)
    with np.errstate(all="ignore"):
        steps = tuple(
            work_out(numbers, time, made.x[0, time], previous[time], hidden[time], units)
            for time in (order if step is None else [step])
        )
    read = order[: order.index(answer) + 1]
    how = Calculation(site(found.spec, *place), made.x[0][read], start)
    expectations: tuple[Expectation, ...] = ()
    if expect:
        search = Search(how, hidden[order[len(read) :]], Wanted(unit, story.takes, story.output_activation))
        expectations = tuple(search.ask(text) for text in expect)
    return replace(story, steps=steps, expectations=expectations)


def _chosen(
    spec: GRUSpec, layer: int, direction: Direction | None, unit: int | None
) -> tuple[Place, tuple[int, ...]]:
    if not 0 <= layer < len(spec.layers):
        raise ProbeError(f"layer must be 0 to {len(spec.layers) - 1}; received {layer}")
    found = [name for name, _ in spec.layers[layer].directions()]
    if direction is not None and direction not in found:
        raise ProbeError(f"layer {layer} runs {' and '.join(found)}; received direction {direction!r}")
    size = spec.layers[layer].hidden_size
    if unit is not None and not 0 <= unit < size:
        raise ProbeError(f"unit must be 0 to {size - 1}; received {unit}")
    every = tuple(range(size)) if size <= MOST_TERMS else (0,)
    return (layer, direction or found[0]), every if unit is None else (unit,)
