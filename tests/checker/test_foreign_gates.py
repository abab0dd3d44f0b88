"""Gates that do not give back the states of a run are not that run's: nothing follows from them."""

from __future__ import annotations

from dataclasses import replace

from grubridge.checker.compare import compare
from grubridge.checker.findings import Comparison, Side
from grubridge.checker.probe import random_probe
from grubridge.checker.verdict import Verdict
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import Array, Gates
from grubridge.traces import Place
from tests.low_precision import run_rounded
from tests.zoo import member

SIDES = (Side("model", None), Side("model", "numpy"))
FORWARD: Place = (0, "forward")


def _compared(*, other_gates: bool, other_states: bool) -> dict[str, Comparison]:
    spec = member("reset_after")
    own, other = (random_probe([spec], seed=seed, batch=3, steps=8) for seed in (1, 2))
    trace, foreign = run_rounded(spec, own), run_rounded(spec, other)
    here, there = trace.places[FORWARD], foreign.places[FORWARD]
    gates: Gates[Array] | None = there.gates if other_gates else here.gates
    hidden = there.hidden if other_states else here.hidden
    mixed = replace(trace, places={FORWARD: replace(here, gates=gates, hidden=hidden)})
    how = arithmetic_of(trace.backend, trace.dtype)
    return {one.quantity: one for one in compare(spec, mixed, own, "read", SIDES, how)}


def test_own_gates_give_back_the_states() -> None:
    found = _compared(other_gates=False, other_states=False)

    assert {one.verdict for one in found.values()} == {Verdict.EQUIVALENT}
    recomposition = found["hidden"].recomposition
    assert recomposition is not None
    assert 0 < recomposition.headroom <= 1


def test_gates_of_another_run_beside_right_states_say_nothing() -> None:
    found = _compared(other_gates=True, other_states=False)

    assert found["hidden"].verdict is Verdict.EQUIVALENT
    recomposition = found["hidden"].recomposition
    assert recomposition is not None
    assert recomposition.headroom > 1
    for gate in ("update", "reset", "candidate"):
        assert found[gate].verdict is Verdict.INCONCLUSIVE
        reason = "the gates do not give back the states of the run, so they are not its own"
        assert found[gate].reason == f"layer 0 forward {gate}: {reason}"


def test_states_of_another_run_are_different_whatever_the_gates() -> None:
    for other_gates in (False, True):
        assert _compared(other_gates=other_gates, other_states=True)["hidden"].verdict is Verdict.DIFFERENT
