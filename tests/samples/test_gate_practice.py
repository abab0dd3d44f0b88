"""What the sample about gates says of its trained model holds on sequences that it was not trained on."""

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from samples.gate_practice import Keeper


@pytest.fixture(scope="module")
def model(torch: ModuleType) -> "Keeper":
    from samples.gate_practice import train

    assert torch.__version__
    return train()


def test_right_answers() -> None:
    from samples.gate_practice import sequences

    commands = np.array([[1, 0, 2, 0, 1, 2]])  # store, hold, flip, hold, store, flip
    numbers = np.array([[0.5, -0.1, 0.2, 0.3, 0.25, 0.9]])
    practice = sequences(commands, numbers)

    np.testing.assert_array_equal(practice.held, [[0.5, 0.5, -0.5, -0.5, 0.25, -0.25]])
    np.testing.assert_allclose(practice.x[0, :, 0], numbers[0], rtol=1e-7)
    np.testing.assert_array_equal(practice.x[0, :, 1:], [[1, 0], [0, 0], [0, 1], [0, 0], [1, 0], [0, 1]])


def test_gates_that_keep_a_state(model: "Keeper") -> None:
    from samples.gate_practice import COMMANDS, draw, gates

    practice = draw(np.random.default_rng(1), 200)
    told = gates(model, practice)
    z, r = ({name: told[gate][practice.commands == i] for i, name in enumerate(COMMANDS)} for gate in "zr")

    assert z["hold"].min() > 0.95
    assert z["store"].max() < 0.1
    assert r["store"].max() < 0.05
    assert z["flip"].max() < 0.7
    assert np.median(r["flip"]) > 0.3  # what it flips must enter the candidate


def test_the_state_entered_at_the_step_that_stores_it(model: "Keeper") -> None:
    """Of two sequences that differ before t' only, the states after t' are nearly one."""
    from samples.gate_practice import gates, sequences

    commands = np.array([[1, 0, 1, 0, 0, 0]] * 2)
    numbers = np.array([[0.9, 0.1, 0.5, 0.2, -0.7, 0.3], [-0.9, 0.1, 0.5, 0.2, -0.7, 0.3]])
    h = gates(model, sequences(commands, numbers))["h"]

    assert abs(h[0, 1] - h[1, 1]) > 0.3
    assert np.abs(h[0, 2:] - h[1, 2:]).max() < 0.02


def test_what_is_printed(
    model: "Keeper", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from samples import gate_practice

    monkeypatch.setattr(gate_practice, "train", lambda: model)
    gate_practice.main()
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == ["t", "command", "number", "z", "r", "n", "h", "holds", "right"]
    assert [line.split()[1] for line in lines[1:17]] == [
        "store",
        *["hold"] * 2,
        "flip",
        "hold",
        "store",
        *["hold"] * 10,
    ]
    np.testing.assert_allclose(
        [float(line.split()[-1]) for line in lines[1:17]], [0.8] * 3 + [-0.8] * 2 + [0.5] * 11
    )
    held = [float(line.split()[-2]) for line in lines[1:17]]
    np.testing.assert_allclose(held, [0.8] * 3 + [-0.8] * 2 + [0.5] * 11, atol=0.15)
    z, r = (line.split()[1] for line in lines[17:19])
    assert (z[0], z[5], set(z[6:])) == ("▁", "▁", {"█"})
    assert (r[0], r[5]) == ("▁", "▁")
