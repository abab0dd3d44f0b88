"""A recording of the user's own code, held against a file's equations: the verdict, and the cause."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.checker.outcome import Outcome
from grubridge.checker.recorded import held
from grubridge.checker.recording import Recording
from grubridge.checker.verdict import Verdict
from grubridge.live.pytorch import from_module
from grubridge.reference import run
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Probe
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.zoo import ZOO, make_spec, member

RNG = np.random.default_rng(0)


def _recording(spec: GRUSpec, *, last: bool, dtype: str = "float32", state: bool = True) -> Recording:
    """A run of sequences of 9, 4 and 7 steps, in `dtype`, with whatever state the spec has room for."""
    lengths = np.array([9, 4, 7])
    x = RNG.standard_normal((3, 9, spec.input_size)).astype(dtype)
    directions = list(spec.directions())
    sizes = {direction.hidden_size for _, _, direction in directions}
    learned = any(direction.initial_state is not None for _, _, direction in directions)
    start = None
    if len(sizes) == 1 and not learned and state:
        start = RNG.uniform(-1, 1, (len(directions), 3, *sizes)).astype(dtype)
    empty = Recording(
        "io.npz", x, np.full((3, 9, spec.layers[-1].output_size), 1 / 3, dtype), None, start, lengths
    )
    trace = run_rounded(spec, empty.probe(spec), dtype)
    top = [trace[len(spec.layers) - 1, name] for name, _ in spec.layers[-1].directions()]
    hidden = np.concatenate([made.hidden for made in top], axis=-1)
    ends = {"forward": lengths - 1, "backward": 0 * lengths}
    final = [
        made.hidden[np.arange(3), ends[name]]
        for made, (name, _) in zip(top, spec.layers[-1].directions(), strict=True)
    ]
    if last:
        return replace(empty, hidden=None, last=np.concatenate(final, axis=-1))
    return replace(empty, hidden=hidden)


def _returning(recording: Recording, outputs: Array) -> Recording:
    """The recording with other outputs."""
    if recording.hidden is None:
        return replace(recording, last=outputs)
    return replace(recording, hidden=outputs)


def _cause(outcome: Outcome) -> str:
    (cause,) = outcome.diagnosis
    return f"{cause.cause}: {cause.detail}"


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_an_honest_run_is_equivalent(spec: GRUSpec, *, last: bool) -> None:
    dtype = "float32" if spec.dtype.name == "bfloat16" else spec.dtype.name
    recording = _recording(spec, last=last, dtype=dtype)
    outcome = held("model.pt", spec, recording)
    (ran,) = outcome.runs
    if spec.dtype.name == "float16" and last:  # of which a whole run is not known to 1e-2
        assert outcome.by_the_bound is Verdict.INCONCLUSIVE
        return

    assert outcome.by_the_bound is Verdict.EQUIVALENT
    assert outcome.diagnosis == []
    assert (ran.artifact, ran.backend, ran.dtype) == ("io.npz", "recorded", dtype)
    assert ran.kernel == ("the last state only" if last else "every step")
    for one in outcome.comparisons:
        assert (one.edge, str(one.left), str(one.right)) == (
            "read",
            "recorded run io.npz",
            "equations of model.pt",
        )
        assert one.layer == len(spec.layers) - 1
        assert one.headroom is not None
        assert one.headroom <= 1
        assert (one.followed is None) is (not last and len(spec.layers) == 1)
        if one.followed is not None:
            steps = 3 if last else 20
            outputs = steps * spec.layers[-1].hidden_size
            assert (one.followed.members, one.followed.judged, one.followed.outputs) == (16, outputs, outputs)
            assert 0 < one.followed.accepted < 1e-2


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found_and_named(name: str, *, last: bool) -> None:
    """The file has what the code should have had; a learned state makes each mistake one of the file."""
    for sizes in ((5, 7), (5, 7, 7)):
        right = make_spec("right", sizes=sizes, directions="both", initial_state=True, seed=30)
        outcome = held("model.pt", right, _recording(MISTAKES[name](right), last=last, state=False))

        assert outcome.by_the_bound is Verdict.DIFFERENT
        assert outcome.diagnosis
        assert all(cause.cause != "unexplained" for cause in outcome.diagnosis), outcome.diagnosis


def test_two_mistakes_at_once_are_named() -> None:
    right = make_spec("right", sizes=(3, 5, 5), seed=31)
    wrong = MISTAKES["update and reset exchanged"](right)
    direction = wrong.layers[0].forward
    assert direction is not None
    wrong = replace(wrong, layers=tuple(replace(layer, reset_after=False) for layer in wrong.layers))

    assert _cause(held("model.pt", right, _recording(wrong, last=True))).startswith(
        "gate order, reset after: in every layer and direction the update and reset gates are exchanged, and "
        "the reset gate is applied before the recurrent product, not after it (Keras reset_after, ONNX "
        "linear_before_reset); taking that into account, the two agree to "
    )


def test_a_state_or_lengths_that_were_not_used_are_named() -> None:
    spec = make_spec("stack", sizes=(3, 5, 5), seed=31)
    recording = _recording(spec, last=True)
    without = replace(_recording(spec, last=True), initial_state=None)
    probe = replace(recording.probe(spec), initial_state={})
    dropped = replace(recording, last=run(spec, probe)[1, "forward"].hidden[range(3), [8, 3, 6]].astype("f4"))
    whole = run(spec, replace(recording.probe(spec), lengths=None))[1, "forward"].hidden[:, -1].astype("f4")

    assert _cause(held("m", spec, dropped)).startswith("initial state: the initial state is ignored;")
    assert _cause(held("m", spec, replace(recording, last=whole))).startswith(
        "lengths: the lengths are ignored: the padding is read before the last valid step;"
    )
    assert _cause(held("m", spec, without)) == (
        "unexplained: no known mistake or precision explains the outputs; a recording of every step "
        "would show more"
    )


def test_weights_stored_in_fewer_bits_are_named() -> None:
    spec = make_spec("stack", sizes=(3, 5, 5), seed=31)
    narrow = spec.astype("float16").astype("float32")

    assert _cause(held("m", spec, _recording(narrow, last=True))).startswith(
        "precision: in every layer and direction the weights were cast to float16;"
    )


def test_a_run_that_began_elsewhere_is_told() -> None:
    spec = member("reset_after")
    outcome = held("m", spec, replace(_recording(spec, last=False), initial_state=None))

    assert outcome.by_the_bound is Verdict.DIFFERENT
    assert _cause(outcome) == (
        "initial state: every step but the first is right: the run began from a state other than zero; "
        "record it as initial_state [1, B, H]"
    )


def _with_gates(spec: GRUSpec) -> Recording:
    recording = _recording(spec, last=False)
    made = run_rounded(spec, recording.probe(spec))[0, "forward"]
    assert made.gates is not None
    kept = {gate: array for gate, array in made.gates.items() if gate not in _absent(spec)}
    return replace(recording, hidden=made.hidden, gates=kept)


def _absent(spec: GRUSpec) -> frozenset[Any]:
    return next(spec.directions())[2].absent_gates


@pytest.mark.parametrize("absent", [None, "update", "reset"])
def test_recorded_gates_are_compared(absent: Any) -> None:
    spec = member("reset_after")
    direction = next(spec.directions())[2]
    if absent is not None:
        layer = replace(spec.layers[0], forward=direction.without(absent))
        spec = replace(spec, layers=(layer,))
    outcome = held("m", spec, _with_gates(spec))

    assert outcome.by_the_bound is Verdict.EQUIVALENT
    recorded = ["hidden", *(gate for gate in ("update", "reset", "candidate") if gate != absent)]
    assert [one.quantity for one in outcome.comparisons] == recorded
    assert outcome.runs[0].gates == "recorded"
    recomposition = outcome.comparisons[0].recomposition
    assert recomposition is not None
    assert recomposition.headroom <= 1


def test_a_wrong_gate_is_a_difference() -> None:
    spec = member("reset_after")
    recording = _with_gates(spec)
    reset = recording.gates["reset"].copy()
    reset[1, 2, 3] += 1e-5
    outcome = held("m", spec, replace(recording, gates={**recording.gates, "reset": reset}))

    assert {one.quantity: one.verdict.value for one in outcome.comparisons} == {
        "hidden": "EQUIVALENT",
        "update": "EQUIVALENT",
        "reset": "DIFFERENT",
        "candidate": "EQUIVALENT",
    }


def test_gates_may_be_recorded_in_part() -> None:
    """As a cell that returns (h, r, z) shows them."""
    spec = member("reset_after")
    recording = _with_gates(spec)
    z, r = recording.gates["update"], recording.gates["reset"]
    right = held("m", spec, replace(recording, gates={"update": z, "reset": r}))
    wrong = held("m", spec, replace(recording, gates={"update": r, "reset": z}))

    assert [one.quantity for one in right.comparisons] == ["hidden", "update", "reset"]
    assert right.by_the_bound is Verdict.EQUIVALENT
    assert wrong.by_the_bound is not Verdict.EQUIVALENT


def test_an_update_gate_that_takes_is_told() -> None:
    spec = member("reset_after")
    recording = _with_gates(spec)
    outcome = held(
        "m", spec, replace(recording, gates={**recording.gates, "update": 1 - recording.gates["update"]})
    )

    assert outcome.by_the_bound is not Verdict.EQUIVALENT
    assert outcome.diagnosis[-1].detail == (
        "the recorded update gate takes the candidate, h' = (1 - z) * h + z * n; the file's keeps the state, "
        "and 1 - z of the recording agrees with it"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_what_is_not_a_number_never_passes(value: float, layers: int, *, last: bool) -> None:
    spec = make_spec("right", sizes=(5, *[7] * layers), seed=30)
    recording = _recording(spec, last=last)
    outputs = recording.outputs.copy()
    outputs[1, ..., -1] = value
    outcome = held("m", spec, _returning(recording, outputs))

    assert outcome.by_the_bound is Verdict.DIFFERENT
    assert max(one.headroom or 0 for one in outcome.comparisons) == np.inf
    assert _cause(outcome) == (
        "not a number: NaN or infinity was recorded where the equations give a finite number"
    )


def test_padding_is_not_compared() -> None:
    for spec in (make_spec("one", sizes=(5, 7), seed=30), make_spec("two", sizes=(5, 7, 7), seed=30)):
        recording = _recording(spec, last=False)
        assert recording.hidden is not None
        loud = recording.hidden.copy()
        loud[1, 4:] = np.nan

        assert held("m", spec, replace(recording, hidden=loud)).by_the_bound is Verdict.EQUIVALENT


def _chaotic() -> tuple[GRUSpec, Array, Array]:
    spec = make_spec("chaotic", sizes=(3, 64), seed=6)
    direction = next(spec.directions())[2]
    wild = replace(direction, recurrent_weight=direction.recurrent_weight.map(lambda w: 3 * w))
    spec = replace(spec, layers=(replace(spec.layers[0], forward=wild),))
    x = np.random.default_rng(1).standard_normal((2, 300, 3)).astype(np.float32)
    return spec, x, run_rounded(spec, Probe(x.astype(np.float64)))[0, "forward"].hidden


def test_a_chaotic_run_of_which_the_end_is_known_is_inconclusive() -> None:
    spec, x, hidden = _chaotic()
    outcome = held("m", spec, Recording("io.npz", x, last=hidden[:, -1]))
    (one,) = outcome.comparisons

    assert outcome.by_the_bound is Verdict.INCONCLUSIVE
    assert (one.max_abs, one.headroom, one.worst) == (None, None, None)
    assert one.followed is not None
    assert (one.followed.judged, one.followed.outputs) == (0, 128)
    assert _cause(outcome) == (
        "not judged: layer 0 forward hidden: by rounding alone this run may come further than 0.01 from the "
        "equations; record every step of one layer (hidden), or shorter sequences"
    )
    assert held("m", spec, Recording("io.npz", x, hidden)).by_the_bound is Verdict.EQUIVALENT


def test_what_comes_after_a_chaotic_run_is_lost_never_passes() -> None:
    """Only outputs of a stack are known: steps beyond those that can be followed may hold anything."""
    spec, x, _ = _chaotic()
    top = make_spec("top", sizes=(64, 5), seed=7).layers
    spec = replace(spec, layers=(*spec.layers, *top))
    honest = run_rounded(spec, Probe(x.astype(np.float64)))[1, "forward"].hidden
    other = honest.copy()
    other[:, 200:] = 0.25

    for recorded in (honest, other):
        outcome = held("m", spec, Recording("io.npz", x, recorded))
        (one,) = outcome.comparisons
        assert one.followed is not None
        assert one.headroom is not None
        assert one.headroom <= 1
        assert 0 < one.followed.judged < one.followed.outputs == 3000
        assert outcome.by_the_bound is Verdict.INCONCLUSIVE
        assert _cause(outcome) == (
            f"not judged: layer 1 forward hidden: {3000 - one.followed.judged:,} of 3,000 numbers: by "
            "rounding alone this run may come further than 0.01 from the equations; record every step of one "
            "layer (hidden), or shorter sequences"
        )
    other[:, 3] = 0.25
    assert held("m", spec, Recording("io.npz", x, other)).by_the_bound is Verdict.DIFFERENT


def test_numbers_that_are_lost_on_the_way_never_pass_as_such() -> None:
    spec, x, hidden = _chaotic()
    last = hidden[:, -1].copy()
    last[0, 0] = np.nan

    assert held("m", spec, Recording("io.npz", x, last=last)).by_the_bound is Verdict.DIFFERENT


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_run_of_pytorch(torch: ModuleType, layers: int, *, both_ways: bool) -> None:
    torch.manual_seed(1)
    module = torch.nn.GRU(5, 8, layers, batch_first=True, bidirectional=both_ways)
    x, state = torch.randn(3, 20, 5), torch.rand(layers * (1 + both_ways), 3, 8)
    hidden, final = (made.detach().numpy() for made in module(x, state))
    last = np.concatenate(final[-(1 + both_ways) :], axis=-1)
    spec = from_module(module)
    given: dict[str, Any] = {"initial_state": state.numpy()}

    for outputs in ({"hidden": hidden}, {"last": last}, {"last": last.astype(np.float64)}):
        assert (
            held("m", spec, Recording("io.npz", x.numpy(), **outputs, **given)).by_the_bound
            is Verdict.EQUIVALENT
        )
    turned = held("m", spec, Recording("io.npz", x.numpy()[:, ::-1], last=last, **given))
    assert _cause(turned).startswith("time: the input is reversed in time, the states are not;")
    at_end = held("m", spec, Recording("io.npz", x.numpy(), last=hidden[:, -1], **given))
    if both_ways:
        assert _cause(at_end).startswith("time: the backward direction's output is that of the last step")
    else:
        assert at_end.by_the_bound is Verdict.EQUIVALENT


def test_the_equations_are_those_of_the_weights_in_the_run_s_own_precision() -> None:
    """Of exact steps of the weights in float16, rounded to float16 once, only that rounding is left."""
    spec = member("reset_after")
    x = RNG.standard_normal((2, 1, spec.input_size)).astype(np.float16)
    exact = run(spec.astype("float16"), Probe(x.astype(np.float64)))[0, "forward"].hidden
    hidden = exact.astype(np.float16)
    (one,) = held("m", spec, Recording("io.npz", x, hidden)).comparisons

    assert one.verdict is Verdict.EQUIVALENT
    assert one.max_abs == pytest.approx(np.abs(exact - hidden).max(), rel=1e-9)
