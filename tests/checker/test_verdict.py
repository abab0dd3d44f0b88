"""Three values, and no truth value."""

from __future__ import annotations

import pytest

from grubridge.checker.verdict import Verdict, combined

SAME, OTHER, OPEN = Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.INCONCLUSIVE


@pytest.mark.parametrize("verdict", Verdict)
def test_truth_value_is_refused_with_advice(verdict: Verdict) -> None:
    with pytest.raises(TypeError, match=rf"this one is {verdict.name}.*verdict is Verdict.EQUIVALENT"):
        bool(verdict)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], OPEN),
        ([SAME], SAME),
        ([SAME, SAME], SAME),
        ([SAME, OPEN], OPEN),
        ([OPEN, SAME, OTHER], OTHER),
        ([OPEN, OPEN], OPEN),
        ([OTHER], OTHER),
    ],
)
def test_one_difference_decides_and_nothing_proves_nothing(found: list[Verdict], expected: Verdict) -> None:
    assert combined(found) is expected
