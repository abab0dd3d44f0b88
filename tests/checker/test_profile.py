"""The profile of a comparison: the worst number of every step, and how many come how near to their bounds."""

from __future__ import annotations

import numpy as np

from grubridge.checker.compare import compare
from grubridge.checker.findings import Side
from grubridge.checker.probe import random_probe
from grubridge.checker.profile import FINEST, Profile, ProfileTally
from grubridge.reference.arithmetic import arithmetic_of
from tests.low_precision import run_rounded
from tests.zoo import make_spec

SIDES = (Side("a.pt", "pytorch"), Side("a.pt", None))


def _profile(errors: np.ndarray, bound: float = 1.0) -> Profile:
    """Of [T, H] errors against one bound."""
    tally = ProfileTally(len(errors))
    tally.add(np.arange(len(errors)), errors, np.full(errors.shape, bound), errors / bound)
    return tally.profile()


def test_each_step_has_the_number_nearest_to_its_bound() -> None:
    tally = ProfileTally(2)
    errors = np.array([[1.0, 3.0], [2.0, 5.0], [4.0, 0.0]])
    bounds = np.array([[2.0, 30.0], [8.0, 50.0], [5.0, 1.0]])
    tally.add(np.array([0, 1, 1]), errors, bounds, errors / bounds)
    found = tally.profile()

    assert (found.times, found.errors, found.bounds) == ((0, 1), (1.0, 4.0), (2.0, 5.0))


def test_of_a_span_the_worst_step_is_kept_never_a_mean() -> None:
    errors = np.full((1000, 3), 1e-3)
    errors[437, 1] = 0.9
    found = _profile(errors)

    assert found.span == 11
    assert len(found.times) == 91
    assert dict(zip(found.times, found.errors, strict=True))[437] == 0.9
    assert sorted(found.errors)[-2] == 1e-3


def test_counts_are_by_powers_of_two_and_the_bound_itself_is_within() -> None:
    found = _profile(np.array([[0.0, 0.25, 0.26, 0.5, 1.0, 1.01, 2.0, np.inf]]))
    counts = {2.0 ** (FINEST + k): count for k, count in enumerate(found.counts) if count}

    assert counts == {2.0**FINEST: 1, 0.25: 1, 0.5: 2, 1.0: 1, 2.0: 2, 2.0**32: 1}


def test_what_was_not_judged_is_left_out() -> None:
    tally = ProfileTally(3)
    one = np.ones((2, 1))
    tally.add(np.array([0, 2]), one, one, np.array([[-1.0], [0.5]]))
    found = tally.profile()

    assert found.times == (2,)
    assert sum(found.counts) == 1


def test_a_comparison_has_the_profile_of_its_own_headroom() -> None:
    spec = make_spec("profiled", sizes=(3, 5), seed=7)
    probe = random_probe([spec], seed=0, batch=2, steps=9)
    trace = run_rounded(spec, probe, "float32", seed=1)
    for one in compare(spec, trace, probe, "read", SIDES, arithmetic_of("pytorch", "float32")):
        assert one.profile is not None
        ratios = np.divide(one.profile.errors, one.profile.bounds)
        assert ratios.max() == one.headroom
        assert one.worst is not None
        assert one.profile.times[int(ratios.argmax())] == one.worst.time
        assert probe.lengths is not None
        assert sum(one.profile.counts) == int(probe.lengths.sum()) * 5
