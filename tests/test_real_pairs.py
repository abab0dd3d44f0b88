"""verify on models that other people trained: twins, strangers of one shape, and an old trap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.conversion import read, write
from grubridge.spec import GRUSpec, hard_sigmoid
from grubridge.verification import verify

GTCRN = "gtcrn/stream/onnx_models"
GTCRN_NAMES = {
    **{f"encoder.en_convs.{i}.tra.att_gru": f"GRU_{n}" for i, n in ((2, 153), (3, 343), (4, 533))},
    **{f"dpgrnn1.intra_rnn.rnn{i}": f"GRU_{n}" for i, n in ((1, 700), (2, 706))},
    **{f"dpgrnn1.inter_rnn.rnn{i}": f"GRU_{n}" for i, n in ((1, 780), (2, 784))},
    **{f"dpgrnn2.intra_rnn.rnn{i}": f"GRU_{n}" for i, n in ((1, 877), (2, 883))},
    **{f"dpgrnn2.inter_rnn.rnn{i}": f"GRU_{n}" for i, n in ((1, 957), (2, 961))},
    **{f"decoder.de_convs.{i}.tra.att_gru": f"GRU_{n}" for i, n in ((0, 1111), (1, 1348), (2, 1585))},
}
"""The modules of the checkpoint in the order in which they run, and the nodes of the exported graph."""
DELFT_CHECKPOINT = "delft/data/models/textClassification/license_gru/52d13ab.model_weights.pth"
DELFT_ONNX = "delft/exported_models/license-gru.onnx/a1ccd03.classifier.onnx"
KLON = "klon/GainStageML/Models"
ASTRORAPID = "astrorapid/hist/5356b54.hdf5"

pytestmark = pytest.mark.usefixtures("onnxruntime")


def _every_quantity(report: CheckReport) -> set[tuple[str, str]]:
    return {(one.left.artifact, one.quantity) for one in report.comparisons if one.edge == "end-to-end"}


@pytest.mark.usefixtures("torch")
def test_gtcrns_checkpoint_and_its_export_are_one_function_layer_by_layer(real: Path) -> None:
    report = verify(
        real / GTCRN / "model_trained_on_dns3.tar", real / GTCRN / "gtcrn.onnx", mapping=GTCRN_NAMES
    )

    assert report.verdict is Verdict.EQUIVALENT, report.diagnosis
    assert [one.proof.equal for one in report.proofs] == [True] * 14
    assert len(_every_quantity(report)) == 14 * 4
    assert {run.gates for run in report.runs} == {"reference", "observed"}


@pytest.mark.usefixtures("torch")
def test_delfts_classifier_and_its_export_are_one_function_layer_by_layer(real: Path) -> None:
    names = {"bigru1": "/model/bigru1/GRU", "bigru2": "/model/bigru2/GRU"}
    same = verify(real / DELFT_CHECKPOINT, real / DELFT_ONNX, mapping=names)

    assert same.verdict is Verdict.EQUIVALENT, same.diagnosis
    assert [one.proof.equal for one in same.proofs] == [True, True]
    assert {(one.layer, one.direction) for one in same.comparisons} == {(0, "forward"), (0, "backward")}


@pytest.mark.usefixtures("keras", "tf_keras")
def test_models_of_one_shape_and_other_weights_are_different(real: Path) -> None:
    report = verify(real / KLON / "RNN_gain0.h5", real / KLON / "RNN_gain25.h5")

    assert report.verdict is Verdict.DIFFERENT
    assert {one.edge for one in report.comparisons if one.verdict is Verdict.DIFFERENT} == {"end-to-end"}
    assert [cause.cause for cause in report.diagnosis] == ["unexplained"]
    assert max(one.certainty or 0.0 for one in report.comparisons) > 1e3


@pytest.mark.usefixtures("keras", "tf_keras")
@pytest.mark.parametrize("ending", ["keras", "onnx"])
def test_an_old_hard_sigmoid_with_the_new_slope_is_named(real: Path, tmp_path: Path, ending: str) -> None:
    """Keras 3 loads a hard_sigmoid of Keras 2, 0.2x + 0.5, as x/6 + 0.5, without a word."""
    spec = read(real / ASTRORAPID, "gru_1")
    newer = tmp_path / f"newer.{ending}"
    write(_with_slope(spec, 1 / 6), newer)
    report = verify(real / ASTRORAPID, newer, stack="gru_1")

    assert report.verdict is Verdict.DIFFERENT
    assert [cause.cause for cause in report.diagnosis] == ["gate activation"]
    assert "hard_sigmoid" in report.diagnosis[0].detail
    assert [one.tensor for one in report.proofs[0].proof.differences] == ["gate activation"]


def _with_slope(spec: GRUSpec, slope: float) -> GRUSpec:
    (layer,) = spec.layers
    assert layer.forward is not None
    changed = replace(layer.forward, gate_activation=hard_sigmoid(slope))
    return replace(spec, layers=(replace(layer, forward=changed),))
