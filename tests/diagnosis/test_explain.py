"""Causes named from a run alone. The runs are made by GRUs that share no code with the search."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.diagnosis import diagnose
from benchmarks.wrong_cases import draw
from grubridge.checker.compare import compare
from grubridge.checker.findings import Side
from grubridge.checker.verdict import Verdict
from grubridge.diagnosis.explain import Explanation, explain
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import Array, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.zoo import make_spec

HOW = arithmetic_of("numpy", "float32")
TORCH = arithmetic_of("pytorch", "float32")

EDITS = {
    "update and reset exchanged": ("gate_order=reset,update,candidate",),
    "update and candidate exchanged": ("gate_order=candidate,reset,update",),
    "reset and candidate exchanged": ("gate_order=update,candidate,reset",),
    "gates rotated": ("gate_order=reset,candidate,update",),
    "gates rotated twice": ("gate_order=candidate,update,reset",),
    "gates of the biases exchanged": ("gate_order=biases:reset,update,candidate",),
    "recurrent weights transposed": ("recurrent_kernel=transposed",),
    "kernel reshaped, not transposed": ("kernel=reshaped",),
    "reset before, not after": ("reset_after=false",),
    "recurrent bias dropped": ("biases=recurrent_dropped",),
    "recurrent bias folded into the other": ("biases=summed",),
    "biases exchanged": ("biases=exchanged",),
    "initial state dropped": ("initial_state=ignored",),
    "update gate takes, not keeps": ("update_gate=takes",),
    "time reversed": ("directions=exchanged",),
}


def _probe(spec: GRUSpec, *, batch: int = 4, steps: int = 9, lengths: Array | None = None) -> Probe:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((batch, steps, spec.input_size)).astype(np.float32)
    states: dict[Place, Array] = {
        (index, name): rng.uniform(-1, 1, (batch, direction.hidden_size)).astype(np.float32)
        for index, name, direction in spec.directions()
        if direction.initial_state is None
    }
    return Probe(x, states, lengths)


def _causes(spec: GRUSpec, trace: Trace, probe: Probe) -> tuple[Explanation, ...]:
    """What explains the places that the check itself calls different."""
    judged = compare(spec, trace, probe, "read", (Side("a", None), Side("b", "numpy")), HOW)
    places = [(one.layer, one.direction) for one in judged if one.verdict is Verdict.DIFFERENT]
    assert places
    return explain(spec, trace, probe, HOW, places)


@pytest.mark.parametrize("name", MISTAKES)
def test_every_known_mistake_is_named(name: str) -> None:
    spec = make_spec("s", sizes=(5, 7), directions="both", initial_state=True)
    probe = _probe(spec)
    trace = run_rounded(MISTAKES[name](spec), probe, seed=3)

    (found,) = _causes(spec, trace, probe)

    assert found.edits == EDITS[name]
    assert found.everywhere
    assert found.headroom <= 1
    assert found.residual < 1e-6
    assert found.ties == ()


def test_random_mistakes_up_to_three_at_once_are_found() -> None:
    found = {number: diagnose(draw(number)) for number in range(40)}

    missed = {number: one.said for number, one in found.items() if one.outcome == "missed"}
    assert missed == {}
    assert sum(one.outcome == "first" for one in found.values()) >= 30


def _in_torch(torch: ModuleType, spec: GRUSpec) -> Any:
    """An nn.GRU with the weights of a spec of one forward layer."""
    layer, forward = spec.layers[0], spec.layers[0].forward
    assert forward is not None
    numbers = cell(layer, forward)
    module = torch.nn.GRU(spec.input_size, layer.hidden_size, batch_first=True)
    parts = (numbers.input_weight, numbers.recurrent_weight, numbers.input_bias, numbers.recurrent_bias)
    with torch.no_grad():
        for parameter, gates in zip(module.parameters(), parts, strict=True):
            fused = np.concatenate([gates.reset, gates.update, gates.candidate])
            parameter.copy_(torch.from_numpy(fused))
    return module


def _trace(hidden: Array, probe: Probe) -> Trace:
    place = DirectionTrace(probe.x, hidden[:, 0], hidden, None, "observed")
    return Trace("pytorch", "", "cpu", "float32", native=True, places={(0, "forward"): place})


def _first_edits(spec: GRUSpec, hidden: Array, probe: Probe) -> tuple[str, ...]:
    return explain(spec, _trace(hidden, probe), probe, TORCH, [(0, "forward")])[0].edits


def test_pytorch_with_gates_in_kerass_order_says_so_in_a_sentence(torch: ModuleType) -> None:
    spec = make_spec("s", sizes=(5, 7))
    probe = _probe(spec)
    module = _in_torch(torch, MISTAKES["update and reset exchanged"](spec))
    with torch.no_grad():
        hidden, _ = module(
            torch.from_numpy(probe.x), torch.from_numpy(probe.initial_state[0, "forward"])[None]
        )

    (found,) = explain(spec, _trace(hidden.numpy(), probe), probe, TORCH, [(0, "forward")])

    assert found.cause == "gate order"
    assert found.convention
    fit = f"the two agree to {found.residual:.1e} ({found.headroom:.2g} of what rounding may do)"
    assert found.sentence == f"the update and reset gates are exchanged; taking that into account, {fit}"


def test_mistakes_of_data_in_pytorch(torch: ModuleType) -> None:
    spec = make_spec("s", sizes=(5, 7))
    probe = _probe(spec)
    module = _in_torch(torch, spec)
    x, start = torch.from_numpy(probe.x), torch.from_numpy(probe.initial_state[0, "forward"])[None]
    module.batch_first = False
    with torch.no_grad():
        across = module(x)[0].numpy()
        module.batch_first = True
        stateless = module(x)[0].numpy()
        reversed_input = module(x.flip(1), start)[0].numpy()
        backwards = module(x.flip(1), start)[0].flip(1).numpy()

    assert _first_edits(spec, across, probe) == ("time=batch_and_time_exchanged",)
    assert _first_edits(spec, stateless, probe) == ("initial_state=ignored",)
    assert _first_edits(spec, reversed_input, probe) == ("time=input_reversed",)
    assert _first_edits(spec, backwards, probe) == ("time=read_other_way",)


def test_batch_and_time_exchanged_and_the_padding_cleared(torch: ModuleType) -> None:
    spec = make_spec("s", sizes=(5, 7))
    lengths = np.array([9, 4, 6, 5])
    probe = _probe(spec, lengths=lengths)
    module = _in_torch(torch, spec)
    module.batch_first = False
    with torch.no_grad():
        hidden = module(torch.from_numpy(probe.x))[0].numpy()
    hidden[np.arange(9) >= lengths[:, None]] = 0

    assert _first_edits(spec, hidden, probe) == ("time=batch_and_time_exchanged",)


def test_lengths_ignored_in_pytorch(torch: ModuleType) -> None:
    spec = make_spec("s", sizes=(5, 7), directions="backward")
    probe = _probe(spec, lengths=np.array([9, 4, 6, 5]))
    layer = spec.layers[0]
    module = _in_torch(torch, GRUSpec((GRULayer(layer.backward, None, layer.reset_after),)))
    start = torch.from_numpy(probe.initial_state[0, "backward"])[None]
    with torch.no_grad():
        hidden = module(torch.from_numpy(probe.x).flip(1), start)[0].flip(1).numpy()
    place = DirectionTrace(probe.x, hidden[:, 0], hidden, None, "observed")
    trace = Trace("pytorch", "", "cpu", "float32", native=True, places={(0, "backward"): place})

    (found,) = explain(spec, trace, probe, TORCH, [(0, "backward")])

    assert found.edits == ("lengths=ignored",)
    assert not found.convention


def test_lower_precision_in_pytorch(torch: ModuleType) -> None:
    spec = make_spec("s", sizes=(30, 40))
    probe = _probe(spec)
    x, start = torch.from_numpy(probe.x), torch.from_numpy(probe.initial_state[0, "forward"])[None]
    with torch.no_grad():
        stored = _in_torch(torch, spec).half().float()(x, start)[0].numpy()
        coarse = _in_torch(torch, spec).bfloat16()
        throughout = coarse(x.bfloat16(), start.bfloat16())[0].float().numpy()
    rounded = Probe(x.bfloat16().float().numpy(), {(0, "forward"): start[0].bfloat16().float().numpy()})

    assert _first_edits(spec, stored, probe) == ("precision=float16_weights",)
    assert _first_edits(spec, throughout, rounded) == ("precision=bfloat16",)


def test_a_mistake_in_one_place_is_named_with_it() -> None:
    spec = make_spec("s", sizes=(5, 7, 7), directions="both")
    wrong_layer = MISTAKES["recurrent bias dropped"](spec).layers[1]
    layer = GRULayer(spec.layers[1].forward, wrong_layer.backward, reset_after=True)
    probe = _probe(spec)

    (found,) = _causes(spec, run_rounded(GRUSpec((spec.layers[0], layer)), probe), probe)

    assert found.places == ((1, "backward"),)
    assert found.sentence.startswith("in layer 1 backward the recurrent bias is dropped; ")


def test_a_mistake_in_all_places_says_so() -> None:
    spec = make_spec("s", sizes=(5, 7, 7), directions="both")
    probe = _probe(spec)

    (found,) = _causes(spec, run_rounded(MISTAKES["reset before, not after"](spec), probe), probe)

    assert len(found.places) == 4
    before = "the reset gate is applied before the recurrent product, not after it"
    assert found.sentence.startswith(f"in every layer and direction {before} ")


def test_what_only_the_second_layer_can_tell_is_said_of_the_first_too() -> None:
    """Where there is no input bias, dropping both biases shows as dropping the recurrent one."""
    spec = make_spec("s", sizes=(5, 7, 7))
    first, second = (layer.forward for layer in spec.layers)
    assert first is not None
    assert second is not None
    layers = [replace(first, input_bias=None), second]
    spec = GRUSpec(tuple(GRULayer(one, None, reset_after=True) for one in layers))
    bare = [replace(one, input_bias=None, recurrent_bias=None) for one in layers]
    probe = _probe(spec)

    trace = run_rounded(GRUSpec(tuple(GRULayer(one, None, reset_after=True) for one in bare)), probe)
    (found,) = _causes(spec, trace, probe)
    (alone,) = explain(spec, trace, probe, HOW, [(0, "forward")])

    assert found.edits == ("biases=dropped",)
    assert found.everywhere
    assert alone.edits == ("biases=recurrent_dropped",)
    assert alone.ties == ()


def test_of_two_that_explain_the_better_one_comes_first() -> None:
    """Recurrent biases of the gates that are hardly above rounding were not dropped; the candidate's was."""
    spec = make_spec("s", sizes=(5, 7))
    forward = spec.layers[0].forward
    assert forward is not None
    assert forward.recurrent_bias is not None
    tiny = np.full(7, 1.5e-6, np.float32)
    right, wrong = (
        replace(forward, recurrent_bias=Gates(tiny, -tiny, candidate))
        for candidate in (forward.recurrent_bias.candidate, np.zeros_like(tiny))
    )
    spec = GRUSpec((GRULayer(right, None, reset_after=True),))
    probe = _probe(spec)

    trace = run_rounded(GRUSpec((GRULayer(wrong, None, reset_after=True),)), probe)
    (found,) = _causes(spec, trace, probe)

    assert found.edits == ("biases=candidate_recurrent_dropped",)
    assert [tie.edits for tie in found.ties] == [("biases=recurrent_dropped",)]
    assert found.headroom < found.ties[0].headroom
    assert found.sentence.endswith('; this run cannot tell that from "the recurrent bias is dropped"')


def test_a_changed_weight_is_no_mistake_that_is_known() -> None:
    spec = make_spec("s", sizes=(5, 7))
    direction = spec.layers[0].forward
    assert direction is not None
    update = direction.input_weight.update.copy()
    update[2, 3] += np.float32(1e-3)
    weights = Gates(update, direction.input_weight.reset, direction.input_weight.candidate)
    changed = GRUDirection(
        weights, direction.recurrent_weight, direction.input_bias, direction.recurrent_bias
    )
    probe = _probe(spec)
    trace = run_rounded(GRUSpec((GRULayer(changed, None, reset_after=True),)), probe)

    assert _causes(spec, trace, probe) == ()


def test_what_is_not_there_cannot_be_explained() -> None:
    spec = make_spec("s", sizes=(5, 7))
    probe = _probe(spec)
    place: Place = (0, "forward")
    shape = (probe.batch, probe.steps, 7)
    for hidden in (np.full(shape, np.nan, np.float32), np.zeros((2, 3, 7), np.float32)):
        assert explain(spec, _trace(hidden, probe), probe, HOW, [place]) == ()
    nothing = Trace("pytorch", "", "cpu", "float32", native=True, places={})
    assert explain(spec, nothing, probe, HOW, [place]) == ()


def test_a_weight_that_is_no_number_explains_nothing_and_breaks_nothing() -> None:
    spec = make_spec("s", sizes=(5, 7))
    forward = spec.layers[0].forward
    assert forward is not None
    spoilt = forward.recurrent_weight.reset.copy()
    spoilt[1, 2] = np.nan
    weights = replace(forward.recurrent_weight, reset=spoilt)
    wrong = GRUSpec((GRULayer(replace(forward, recurrent_weight=weights), None, reset_after=False),))
    probe = _probe(spec)

    assert explain(wrong, run_rounded(spec, probe), probe, HOW, [(0, "forward")]) == ()
