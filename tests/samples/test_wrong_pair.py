"""The wrong pair: all shapes fit, both files load, and only running them shows two functions."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from grubridge import Verdict, convert, verify
from tests.samples.test_samples import SAMPLES

SOURCE, WRONG = SAMPLES / "wrong" / "source.pt", SAMPLES / "wrong" / "unreordered_gates.keras"


def test_the_wrong_copy_differs_by_the_order_of_its_gates_alone(keras: ModuleType, torch: ModuleType) -> None:
    source = {k: v.numpy() for k, v in torch.load(SOURCE, weights_only=True).items()}
    copy = keras.saving.load_model(WRONG)
    kernel, recurrent_kernel, bias = copy.get_layer("gru").get_weights()
    np.testing.assert_array_equal(kernel, source["gru.weight_ih_l0"].T)
    np.testing.assert_array_equal(recurrent_kernel, source["gru.weight_hh_l0"].T)
    np.testing.assert_array_equal(bias, [source["gru.bias_ih_l0"], source["gru.bias_hh_l0"]])


@pytest.mark.usefixtures("keras", "torch")
def test_verify_catches_the_wrong_copy_and_not_the_right_one(tmp_path: Path) -> None:
    right = tmp_path / "right.keras"
    convert(SOURCE, right)

    assert verify(SOURCE, right).verdict is Verdict.EQUIVALENT
    report = verify(SOURCE, WRONG)

    assert report.verdict is Verdict.DIFFERENT
    between = [comparison for comparison in report.comparisons if comparison.edge == "end-to-end"]
    assert {c.quantity: c.first_bad_time for c in between} == dict.fromkeys(
        ("hidden", "update", "reset", "candidate"), 0
    )
    read = [comparison.verdict for comparison in report.comparisons if comparison.edge == "read"]
    assert read == [Verdict.EQUIVALENT] * 8  # both files are read as their own frameworks run them
