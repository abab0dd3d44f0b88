"""What an explanation says in sentences: conventions, how a sequence is fed, where values come from."""

from __future__ import annotations

from collections.abc import Iterator

from grubridge.explanation.expectation import Expectation, Match
from grubridge.explanation.explaining import Explanation
from grubridge.files.text import printable
from grubridge.layouts.description import TensorLayout
from grubridge.layouts.finding import of_place
from grubridge.reference.activations import evaluate
from grubridge.spec import RESET, UPDATE, Array

from .equations import SYMBOLS
from .notation import Notation

__all__ = ["answer", "conventions", "expectation", "feeding", "sizes", "storage"]

ANSWER_DIGITS = 8
_MOST_MATCHES = 6
_PARTS = {"input_weight": "W", "recurrent_weight": "U", "input_bias": "b", "recurrent_bias": "c"}


def sizes(story: Explanation) -> str:
    """Return which layer is explained, and its sizes."""
    layer, way = story.place
    direction = story.direction
    inputs, units = direction.input_size, direction.hidden_size
    said = f"layer {layer} {way}: {inputs} input{'s' * (inputs != 1)}, {units} unit{'s' * (units != 1)}"
    if len(story.units) < units:
        said += f"; unit {story.units[0]} is worked out (--unit chooses)"
    return said


def conventions(story: Explanation) -> Iterator[str]:
    """Yield what the formula means, beside what others write."""
    direction = story.direction
    if UPDATE in direction.absent_gates:
        yield "There is no update gate: the new state is the candidate, as if z were 0."
    elif story.takes:
        yield (
            "z takes the candidate: z = 1 replaces the state. Keras, PyTorch and ONNX write "
            "h' = z*h + (1 - z)*n, where z keeps; their z is 1 minus this one."
        )
    else:
        yield (
            "z keeps the state: z = 1 leaves it as it is (Keras, PyTorch, ONNX; Cho et al. 2014). Others "
            "write h' = (1 - z)*h + z*n, where z takes the candidate (Chung et al. 2014); their z is 1 minus "
            "this one."
        )
    if story.output_activation is not None:
        yield f"The model returns {story.output_activation.name}(h'); the state that goes on is h' itself."
    if RESET in direction.absent_gates:
        yield "There is no reset gate: the candidate sees the state itself, as if r were 1."
        return
    f = direction.candidate_activation.name
    if story.layer.reset_after:
        yield (
            "r is applied after the recurrent product (Keras reset_after=True, ONNX linear_before_reset=1, "
            f"PyTorch always). Before the product it would be n = {f}(W_n x + U_n (r*h)), biases aside."
        )
        if direction.recurrent_bias is not None:
            yield "The recurrent bias of the candidate, c_n, is therefore multiplied by r too."
    else:
        yield (
            "r is applied to the state, before the recurrent product (Keras reset_after=False, ONNX "
            f"linear_before_reset=0). After the product it would be n = {f}(W_n x + r*(U_n h)), biases aside."
        )


def storage(story: Explanation) -> Iterator[str]:
    """Yield which tensor of the layer and direction holds what; nothing where that is not known."""
    if story.layout is None:
        return
    for tensor in of_place(story.layout, *story.place).tensors:
        held = " and ".join(_PARTS[part] for part in tensor.holds if part in _PARTS)
        if not held:
            yield f"{printable(tensor.name)}: the state at the start."
            continue
        gates = ", ".join(SYMBOLS[gate] for gate in tensor.gates)
        yield f"{printable(tensor.name)}{_shape(tensor)}: {held} of {gates}{_how(tensor)}."


def _shape(tensor: TensorLayout) -> str:
    count = len(tensor.gates)
    outputs = "H" if count == 1 else f"{count}H"
    if tensor.is_weight:
        inputs = "+".join("I" if part == "input_weight" else "H" for part in tensor.holds)
        return f" [{outputs}, {inputs}]" if tensor.rows == "output" else f" [{inputs}, {outputs}]"
    if len(tensor.holds) == 1:
        return f" [{outputs}]"
    return f" [{2 * count}H]" if tensor.flat else f" [2, {outputs}]"


def _how(tensor: TensorLayout) -> str:
    several = ", in that order" if len(tensor.gates) > 1 else ""
    if tensor.is_weight:
        across = len(tensor.holds) > 1
        joined = "[x, h]" if tensor.holds[0] == "input_weight" else "[h, x]"
        return f"{several}{f'; it multiplies {joined}' if across else ''}"
    if len(tensor.holds) == 1:
        return several
    place = "the first half is" if tensor.flat else "row 0 is"
    rest = "the second" if tensor.flat else "row 1"
    return f"{several}; {place} {_PARTS[tensor.holds[0]]}, {rest} {_PARTS[tensor.holds[1]]}"


def feeding(story: Explanation) -> Iterator[str]:
    """Yield how the sequence is fed, what the state is at the start, and how exact the numbers are."""
    steps, backward = story.probe.steps, story.place[1] == "backward"
    order = "from the last step to the first, for this direction runs backward" if backward else "in order"
    origin = story.probe.origin
    what = (
        "the states of the layer below"
        if story.place[0]
        else "as given"
        if origin == "given"
        else f"from {printable(origin)}"
    )
    yield (
        f"A sequence is fed one step at a time, {order}: each step takes its own x ({what}) and the "
        f"state h that the step before it returned ({steps} step{'s' * (steps != 1)})."
    )
    learned = story.direction.initial_state is not None
    how = "zeros" if not story.start.any() else "learned: the model carries it" if learned else "given"
    yield f"The state at the start is {how}."
    yield (
        "All is worked out in float64 and printed rounded; a framework's own float32 differs from about the "
        "seventh digit on."
    )


def answer(story: Explanation) -> str:
    """Return the state at the step in question, with more digits than the arithmetic shows."""
    write = Notation(max(story.digits, ANSWER_DIGITS), several=True)
    states = story.hidden[story.answer, list(story.units)]
    shown = _numbers(states, write)
    which = f"unit {story.units[0]}: " if len(story.units) < story.direction.hidden_size else ""
    last = story.answer == (story.probe.steps - 1 if story.place[1] == "forward" else 0)
    said = f"h after step {story.answer}{', the last' if last else ''}: {which}{shown}"
    output = story.output_activation
    if output is not None:
        said += f"; the model returns {output.name}(h) = {_numbers(evaluate(output, states), write)}"
    return said


def _numbers(values: Array, write: Notation) -> str:
    numbers = [write.number(value) for value in values.tolist()]
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"


def expectation(story: Explanation, found: Expectation) -> Iterator[str]:
    """Yield what is known about an expected value: a sentence, and the ways to it where there are several."""
    text = printable(found.text)
    tried = f"{found.tried:,} values that known conventions and mistakes give"
    tried += ", alone and two at a time" if found.pairs else ", one at a time"
    if found.right:
        match = found.matches[0]
        yield f"{text} is right: it is {match.quantity} after step {story.answer} ({_value(match)})."
    elif not found.matches:
        yield (
            f"{text}: no convention or mistake that is known here gives it from these weights and inputs "
            f"(none of {tried}). The weights are probably not those that produced it, but were printed from "
            "another initialisation or another moment of the training: run the model with exactly these "
            "weights."
        )
        if found.nearest is not None:
            yield f"The nearest is {_value(found.nearest)}: {_way(found.nearest)}."
    elif len(found.matches) == 1:
        (match,) = found.matches
        yield f"{text} is not the right answer. It comes out as {_way(match)} ({_value(match)})."
    else:
        count = len(found.matches)
        yield f"{text} is not the right answer. {count} ways lead to it, which it does not tell apart:"
        for match in found.matches[:_MOST_MATCHES]:
            yield f"- {_way(match)} ({_value(match)})"
        if count > _MOST_MATCHES:
            yield f"- and {count - _MOST_MATCHES} more"
    if found.matches and not found.right and found.by_chance >= 0.05:
        yield (
            f"Of {tried}, about {found.by_chance:.2g} would agree with so few digits by chance: give more."
        )


def _way(match: Match) -> str:
    if not match.mistakes:
        return match.quantity
    return f"{match.quantity} when {' and '.join(match.mistakes)}"


def _value(match: Match) -> str:
    return Notation(ANSWER_DIGITS, several=True).number(match.value)
