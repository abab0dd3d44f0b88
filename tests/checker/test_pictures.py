"""What a check keeps for a page when it is asked to, from stand-ins for the frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest

from grubridge.checker.verdict import Verdict
from grubridge.conversion import write
from grubridge.verification import verify
from tests.mistakes import MISTAKES
from tests.simulated import Runtimes
from tests.zoo import make_spec

RIGHT = make_spec("right", sizes=(4, 6), seed=40)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write(RIGHT, tmp_path / "a.pt")
    write(MISTAKES["update and reset exchanged"](RIGHT), tmp_path / "b.keras")
    return tmp_path / "a.pt", tmp_path / "b.keras"


def test_nothing_is_kept_unasked(runtimes: Runtimes, pair: tuple[Path, Path]) -> None:
    assert verify(*pair).pictures is None
    assert runtimes.inputs


def test_two_runs_are_shown_beside_each_other(runtimes: Runtimes, pair: tuple[Path, Path]) -> None:
    report = verify(*pair, keep_pictures=True)
    assert report.pictures is not None
    apart = report.pictures.apart

    assert runtimes.inputs
    assert report.verdict is Verdict.DIFFERENT
    assert apart is not None
    assert (apart.left.backend, apart.right.backend) == ("pytorch", "keras")
    hidden = apart.heatmaps[0]
    assert max(one.max_abs for one in report.drift if one.right == apart.right) == pytest.approx(
        abs(hidden.difference[hidden.largest]), rel=1e-6
    )


def test_layouts_are_those_of_the_files(runtimes: Runtimes, pair: tuple[Path, Path]) -> None:
    report = verify(*pair, keep_pictures=True)
    assert report.pictures is not None
    torch, keras = report.pictures.layouts

    assert runtimes.jobs
    assert (torch.gate_order, torch.rows) == (("reset", "update", "candidate"), "output")
    assert (keras.gate_order, keras.rows) == (("update", "reset", "candidate"), "input")
    assert (keras.input_size, keras.hidden_size) == (4, 6)
    assert (keras.input_bias, keras.recurrent_bias) == (True, "all")


def test_causes_tried_in_vain_stand_beside_the_one_that_explains(
    runtimes: Runtimes, pair: tuple[Path, Path]
) -> None:
    report = verify(*pair, keep_pictures=True)
    assert report.pictures is not None
    (tried,) = report.pictures.tried
    (cause,) = report.diagnosis

    assert runtimes.jobs
    assert cause.tried[0].what == "the update and reset gates are exchanged"
    assert cause.tried[0].headroom <= 1
    assert tried.unchanged.headroom > 1e3
    assert len(tried.rivals) == 8
    assert cause.tried[0].what not in {rival.what for rival in tried.rivals}
    assert all(rival.headroom > 1 for rival in tried.rivals)
    residuals = [rival.residual for rival in tried.rivals]
    assert residuals == sorted(residuals)


def test_a_run_that_is_alone_stands_beside_the_equations(runtimes: Runtimes, pair: tuple[Path, Path]) -> None:
    report = verify(pair[0], backends=["pytorch"], keep_pictures=True)
    assert report.pictures is not None
    apart = report.pictures.apart

    assert runtimes.jobs
    assert apart is not None
    assert (apart.left.backend, apart.right.backend) == (None, "pytorch")
    assert report.pictures.tried == ()
