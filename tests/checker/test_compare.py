"""What a comparison of a trace with a spec sees, and what it does not mistake for a pass."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from grubridge.checker.compare import compare
from grubridge.checker.drift import drift
from grubridge.checker.findings import Comparison
from grubridge.checker.probe import random_probe
from grubridge.checker.verdict import Verdict
from grubridge.reference import run
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import Array, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace
from tests.checker.holding import FORWARD, SIDES, changed_at, held, inputs_for, verdict_of
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.zoo import ZOO, make_spec, member


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_honest_run_is_equivalent(spec: GRUSpec) -> None:
    probe = inputs_for(spec)
    found = held(spec, run_rounded(spec, probe, spec.dtype.name), probe)

    assert verdict_of(found) is Verdict.EQUIVALENT
    assert len(found) == 4 * len(list(spec.directions()))
    assert all(c.headroom is not None and 0 < c.headroom <= 1 and c.first_bad_time is None for c in found)


@pytest.mark.parametrize("name", MISTAKES)
def test_known_mistake_is_different(name: str) -> None:
    spec = make_spec("right", sizes=(5, 7), directions="both", initial_state=True, seed=30)
    wrong = MISTAKES[name](spec)
    probe = inputs_for(spec)
    found = held(spec, run_rounded(wrong, probe), probe)

    assert verdict_of(found) is Verdict.DIFFERENT
    assert max(c.headroom or 0 for c in found if c.quantity == "hidden") > 1e4


def test_there_are_fifteen_mistakes() -> None:
    assert len(MISTAKES) == 15


@pytest.mark.parametrize("seed", [0, 1])
def test_chaotic_but_equal_runs_are_equivalent(seed: int) -> None:
    """Weights five times as large, 1024 steps: two right runs drift apart by more than 1."""
    spec = _chaotic()
    probe = inputs_for(spec, batch=2, steps=1024)
    one, other = run_rounded(spec, probe, seed=seed), run_rounded(spec, probe, seed=seed + 2)
    apart = drift(one, other, probe, SIDES)

    assert apart is not None
    assert apart.max_abs > 1
    assert verdict_of(held(spec, one, probe)) is Verdict.EQUIVALENT
    assert verdict_of(held(spec, other, probe)) is Verdict.EQUIVALENT


def test_chaotic_pytorch_run_is_equivalent(torch: ModuleType) -> None:
    spec = _chaotic()
    probe = inputs_for(spec, batch=2, steps=1024)
    direction = next(spec.directions())[2]
    layer = torch.nn.GRU(spec.input_size, direction.hidden_size, batch_first=True)
    with torch.no_grad():
        for name in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias"):
            gates = getattr(direction, name)
            kind = "weight" if "weight" in name else "bias"
            side = "ih" if "input" in name else "hh"
            fused = np.concatenate([gates.reset, gates.update, gates.candidate])
            getattr(layer, f"{kind}_{side}_l0").copy_(torch.from_numpy(fused))
        start = probe.initial_state[FORWARD].astype(np.float32)
        assert probe.lengths is not None
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            torch.from_numpy(probe.x.astype(np.float32)),
            torch.from_numpy(probe.lengths),
            batch_first=True,
            enforce_sorted=False,
        )
        output, _ = layer(packed, torch.from_numpy(start[None]))
        hidden, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    made = DirectionTrace(probe.x, start, hidden.numpy(), None, "observed")
    trace = Trace("pytorch", torch.__version__, "cpu", "float32", native=True, places={FORWARD: made})
    found = held(spec, trace, probe)

    assert [c.quantity for c in found] == ["hidden"]
    assert verdict_of(found) is Verdict.EQUIVALENT


def _chaotic() -> GRUSpec:
    spec = make_spec("chaotic", sizes=(8, 64), seed=31)
    direction = next(spec.directions())[2]
    large = replace(
        direction,
        recurrent_weight=direction.recurrent_weight.map(lambda w: w * np.float32(5)),
    )
    return replace(spec, layers=(replace(spec.layers[0], forward=large),))


@pytest.mark.parametrize(("place", "time"), [((0, "forward"), 5), ((0, "backward"), 2)])
def test_wrong_number_is_located(place: Place, time: int) -> None:
    spec = member("bidirectional")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 6])
    trace = run_rounded(spec, probe)
    hidden = trace.places[place].hidden.copy()
    hidden[1, time, 4] += np.float32(1e-3)
    found = {
        (c.layer, c.direction, c.quantity): c
        for c in held(spec, changed_at(trace, place, hidden=hidden), probe)
    }
    wrong = found[(*place, "hidden")]
    assert wrong.verdict is Verdict.DIFFERENT
    assert wrong.worst is not None
    assert (wrong.worst.batch, wrong.worst.time, wrong.worst.unit) == (1, time, 4)
    assert wrong.largest == wrong.worst
    assert wrong.first_bad_time == time
    assert wrong.max_abs == pytest.approx(1e-3, rel=1e-2)
    other: Place = (0, "backward" if place[1] == "forward" else "forward")
    assert found[(*other, "hidden")].verdict is Verdict.EQUIVALENT


def test_first_bad_step_follows_the_order_of_reading() -> None:
    spec = member("backward_only")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 3])
    trace = run_rounded(spec, probe)
    place: Place = (0, "backward")
    hidden = trace.places[place].hidden.copy()
    hidden[0, 6, 0] += np.float32(0.1)  # the second step that sequence 0 reads
    hidden[1, 2, 0] += np.float32(0.01)  # the first step that sequence 1 reads
    (found, *_) = held(spec, changed_at(trace, place, hidden=hidden), probe)

    assert found.first_bad_time == 2
    assert found.worst is not None
    assert found.worst.time == 6


def test_wrong_gate_is_found_though_the_state_is_right() -> None:
    spec = member("reset_after")
    probe = inputs_for(spec)
    trace = run_rounded(spec, probe)
    gates = trace.places[FORWARD].gates
    assert gates is not None
    found = held(spec, changed_at(trace, FORWARD, gates=replace(gates, reset=gates.update)), probe)

    assert {c.quantity: c.verdict for c in found} == {
        "hidden": Verdict.EQUIVALENT,
        "update": Verdict.EQUIVALENT,
        "reset": Verdict.DIFFERENT,
        "candidate": Verdict.EQUIVALENT,
    }


def test_steps_past_the_end_do_not_count() -> None:
    spec = member("bidirectional")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 5])
    trace = run_rounded(spec, probe)
    for place in trace:
        hidden = trace.places[place].hidden.copy()
        hidden[1, 5:] = np.nan
        trace = changed_at(trace, place, hidden=hidden)

    assert verdict_of(held(spec, trace, probe)) is Verdict.EQUIVALENT


def test_what_a_runtime_says_of_its_inputs_is_not_believed() -> None:
    """A run on other inputs is wrong, though it is right about what it claims to have received."""
    spec = member("two_layers_bidirectional")
    probe = inputs_for(spec)
    for wrong in (
        replace(probe, x=probe.x[::-1].copy()),
        replace(probe, initial_state={}),
    ):
        trace = run_rounded(spec, wrong)
        assert verdict_of(held(spec, trace, probe)) is Verdict.DIFFERENT


def test_sums_that_climb_and_cancel_are_no_difference() -> None:
    """In their natural order, the partial sums of this model round more than in a random order."""
    terms = 512
    spec = make_spec("climbing", sizes=(terms, 4), seed=4)
    rng = np.random.default_rng(0)
    sign = np.where(np.arange(terms) < terms // 2, 1.0, -1.0)
    direction = next(spec.directions())[2]
    climbing = direction.input_weight.map(
        lambda w: (sign * (0.2 + 0.02 * rng.random(w.shape))).astype(np.float32)
    )
    changed = replace(direction, input_weight=climbing)
    spec = replace(spec, layers=(replace(spec.layers[0], forward=changed),))
    probe = Probe((1 + 0.1 * rng.standard_normal((4, 50, terms))).astype(np.float32).astype(np.float64))
    found = held(spec, run_rounded(spec, probe, seed=None), probe)

    assert verdict_of(found) is Verdict.EQUIVALENT
    moved = replace(probe, x=probe.x + 1e-3)
    assert verdict_of(held(spec, run_rounded(spec, moved, seed=None), probe)) is Verdict.DIFFERENT


def test_an_error_just_above_the_bound_is_a_difference() -> None:
    spec = member("reset_after")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 8])
    exact = run(spec, probe)
    float32 = arithmetic_of("numpy", "float32")

    def judged(error: float) -> Comparison:
        hidden = exact.places[FORWARD].hidden.copy()
        hidden[1, 7, 3] += error  # the last step: nothing follows from it
        found, *_ = compare(spec, changed_at(exact, FORWARD, hidden=hidden), probe, "read", SIDES, float32)
        return found

    probing = judged(1e-3)
    assert probing.headroom is not None
    bound = 1e-3 / probing.headroom
    assert judged(0.9 * bound).verdict is Verdict.EQUIVALENT
    just_above = judged(1.1 * bound)
    assert (just_above.verdict, just_above.first_bad_time) == (Verdict.DIFFERENT, 7)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_all_nan_or_all_zero_is_no_pass(value: float) -> None:
    spec = member("reset_after")
    probe = inputs_for(spec)
    trace = run_rounded(spec, probe)
    gates = trace.places[FORWARD].gates
    assert gates is not None

    def filled(array: Array) -> Array:
        return np.full_like(array, value)

    broken = changed_at(trace, FORWARD, hidden=filled(trace.places[FORWARD].hidden), gates=gates.map(filled))
    assert verdict_of(held(spec, broken, probe)) is Verdict.DIFFERENT


def test_missing_output_is_inconclusive() -> None:
    spec = member("two_layers_bidirectional")
    probe = inputs_for(spec)
    trace = run_rounded(spec, probe)
    without = {place: made for place, made in trace.places.items() if place != (0, "backward")}
    found = held(spec, replace(trace, places=without), probe)

    assert verdict_of(found) is Verdict.INCONCLUSIVE
    reasons = [c.reason for c in found if c.verdict is Verdict.INCONCLUSIVE]
    assert reasons[0] == "layer 0 backward: the runtime returned nothing"
    assert "the layer below it" in reasons[1]
    nothing = held(spec, replace(trace, places={}), probe)
    assert {c.verdict for c in nothing} == {Verdict.INCONCLUSIVE}


def test_other_shape_is_inconclusive() -> None:
    spec = member("reset_after")
    probe = inputs_for(spec)
    trace = run_rounded(spec, probe)
    hidden = trace.places[FORWARD].hidden
    gates = trace.places[FORWARD].gates
    assert gates is not None
    for wrong in (
        changed_at(trace, FORWARD, hidden=hidden[:, :-1]),
        changed_at(trace, FORWARD, hidden=hidden[:1]),
        changed_at(trace, FORWARD, gates=replace(gates, reset=gates.reset[..., :1])),
    ):
        (found,) = held(spec, wrong, probe)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "must be [3, 8, 7]; the runtime returned" in found.reason


def test_half_precision_is_judged_by_the_precision_that_is_allowed() -> None:
    spec = member("reset_after")
    probe = random_probe([spec, spec.astype("float16")], seed=3, batch=3, steps=8)
    trace = run_rounded(spec.astype("float16"), probe, "float16")
    single = run_rounded(spec, probe)

    assert verdict_of(held(spec.astype("float16"), trace, probe)) is Verdict.EQUIVALENT
    assert verdict_of(held(spec.astype("float16"), single, probe)) is Verdict.DIFFERENT


def test_drift_is_measured_on_valid_steps() -> None:
    spec = member("bidirectional")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 5])
    exact = run(spec, probe)
    hidden = exact.places[0, "backward"].hidden.copy()
    hidden[1, 6] = 100.0
    hidden[1, 3, 2] += 0.25
    apart = drift(exact, changed_at(exact, (0, "backward"), hidden=hidden), probe, SIDES)

    assert apart is not None
    assert (apart.max_abs, apart.layer, apart.direction, apart.time) == (0.25, 0, "backward", 3)
