"""What is found of a cell of one's own, what is written, what is left open, and what cannot be found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge.errors import IdentificationError, StackSelectionError, TargetError, UnknownFormatError
from grubridge.identification.identify import identify
from grubridge.layouts.description import TensorLayout
from grubridge.layouts.toml import load

from .cells import Numbers, own_cell, run_own_cell, write

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def _inputs(input_size: int = 4, batch: int = 3, steps: int = 7, seed: int = 1) -> Numbers:
    made: Numbers = np.random.default_rng(seed).standard_normal((batch, steps, input_size))
    return made.astype(np.float32)


def _recorded(folder: Path, tensors: dict[str, Numbers], x: Numbers) -> tuple[Path, Path]:
    hidden_size = tensors["net.rec_a"].shape[0]
    start = np.zeros((len(x), hidden_size), np.float32)
    return write(folder, tensors, x=x, hidden=run_own_cell(tensors, x, start))


def test_the_layout_is_written_and_can_be_used(tmp_path: Path) -> None:
    model, example = _recorded(tmp_path, own_cell(), _inputs())

    found = identify(model, example, out=tmp_path / "own.toml")

    layout = load(tmp_path / "own.toml")
    assert layout == found.fits[0].layout
    assert (layout.update, layout.reset) == ("takes", "before")
    assert TensorLayout("in_c", ("input_weight",), ("candidate",), "input") in layout.tensors
    assert TensorLayout("off_b", ("input_bias",), ("reset",)) in layout.tensors
    assert found.fits[0].left_over == ("head.weight",)
    assert found.fits[0].prefix == "net."
    assert found.fits[0].measure.headroom < 1
    text = (tmp_path / "own.toml").read_text()
    assert text.startswith(
        "# Found from run.npz, every step, for the tensors behind 'net.' in model.safetensors.\n"
        "# Largest error "
    )
    spec = grubridge.read(model, hints=grubridge.ReadHints(layout=str(tmp_path / "own.toml")))
    assert spec.layers[0].reset_after is False


def test_one_state_of_a_run_is_enough(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs()
    lengths = np.array([7, 3, 5])
    hidden = run_own_cell(tensors, x, np.zeros((3, 6), np.float32))
    model, example = write(tmp_path, tensors, x=x, last=hidden[np.arange(3), lengths - 1], lengths=lengths)

    found = identify(model, example)

    assert (found.fits[0].layout.update, found.fits[0].layout.reset) == ("takes", "before")
    assert found.outputs == "the last state"


def test_square_weights_are_told_apart_by_the_run(tmp_path: Path) -> None:
    model, example = _recorded(tmp_path, own_cell(6, 6), _inputs(6))

    layout = identify(model, example).fits[0].layout

    held = {tensor.name: (tensor.holds, tensor.rows) for tensor in layout.tensors}
    assert held["in_a"] == (("input_weight",), "input")
    assert held["rec_a"] == (("recurrent_weight",), "input")


def test_a_shipped_layout_is_called_by_its_name() -> None:
    found = identify(SAMPLES / "cells" / "d2l.pt", SAMPLES / "cells" / "d2l.npz")

    assert (found.fits[0].shipped, found.fits[0].layout.name) == (True, "d2l")
    assert found.fits[0].left_over == ("linear.weight", "linear.bias")


def test_biases_that_are_zero_go_along_with_the_weights(tmp_path: Path) -> None:
    model, example = _recorded(tmp_path, own_cell(bias=0), _inputs())

    first = identify(model, example).fits[0]

    gates = {tensor.name: tensor.gates for tensor in first.layout.tensors}
    assert gates["off_a"] == gates["in_a"] == ("update",)
    assert first.remarks == ("biases in off_a, off_b, off_c are zero: which gate has which does not matter",)


def test_both_reset_modes_of_one_unit_without_inner_bias_are_one_function(tmp_path: Path) -> None:
    model, example = _recorded(tmp_path, own_cell(1, 3), _inputs(3, batch=6))

    found = identify(model, example)

    assert [fit.layout.reset for fit in found.fits] == ["after", "before"]
    assert [fit.same for fit in found.fits] == [True, True]
    assert found.fits[1].differs == ("reset gate before instead of after",)
    assert found.apart == ()


def test_a_run_that_cannot_tell_says_so(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs(steps=1)  # one step from zero: no recurrent weight shows
    model, example = _recorded(tmp_path, tensors, x)

    found = identify(model, example, out=tmp_path / "one.toml")

    assert not all(fit.same for fit in found.fits)
    names = {tensor.name: tensor.gates for tensor in found.fits[0].layout.tensors}
    assert names["in_a"] == names["rec_a"]  # of those that fit, the one that goes along with the names
    assert found.apart == (
        "more than one step, or an initial_state that is not zero: from zero, no recurrent weight shows",
    )
    assert "other layouts fit the run as well: see grubridge identify." in (tmp_path / "one.toml").read_text()


def _refusal(model: Path, example: Path) -> str:
    with pytest.raises(IdentificationError) as error:
        identify(model, example)
    return str(error.value)


def test_an_initial_state_that_is_missing_is_found_out(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs()
    start = np.random.default_rng(2).uniform(-1, 1, (3, 6)).astype(np.float32)
    model, example = write(tmp_path, tensors, x=x, hidden=run_own_cell(tensors, x, start))

    message = _refusal(model, example)

    assert message.startswith(f"{model}: no layout explains {example}; ")
    assert message.endswith(
        "likely: the first step alone does not fit: the run did not start from the state that is recorded, "
        "or from zero where none is; record its initial_state"
    )


def test_a_run_that_is_time_first_is_found_out(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs()
    hidden = run_own_cell(tensors, x, np.zeros((3, 6), np.float32))
    model, example = write(tmp_path, tensors, x=x.swapaxes(0, 1), hidden=hidden.swapaxes(0, 1))

    refusal = _refusal(model, example)
    assert "; likely: with batch and time exchanged it fits: the run is recorded time first" in refusal


def test_a_cell_that_runs_backward_is_found_out(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs()
    hidden = run_own_cell(tensors, x, np.zeros((3, 6), np.float32))
    model, example = write(tmp_path, tensors, x=x[:, ::-1], hidden=hidden[:, ::-1])

    refusal = _refusal(model, example)
    assert "; likely: read from its last step to its first it fits: the cell runs backward" in refusal


def test_a_close_run_and_another_models_run_are_told_apart(tmp_path: Path) -> None:
    tensors, x = own_cell(), _inputs()
    hidden = run_own_cell(tensors, x, np.zeros((3, 6), np.float32))
    noise = np.random.default_rng(3).standard_normal(hidden.shape).astype(np.float32)

    close = _refusal(*write(tmp_path, tensors, x=x, hidden=hidden + 1e-4 * noise))
    other = _refusal(*write(tmp_path, tensors, x=x, hidden=np.tanh(noise)))

    assert "; likely: the nearest is close: the run was made in a lower precision" in close
    assert (
        "; likely: the file and the run are not of one model; or the cell is none that is searched" in other
    )


def test_a_run_of_other_sizes_is_found_out(tmp_path: Path) -> None:
    tensors = own_cell()
    model, example = write(tmp_path, tensors, x=_inputs(5), hidden=np.zeros((3, 7, 6), np.float32))

    assert _refusal(model, example) == (
        f"{model}: no layout explains {example}; likely: the run has I = 5 inputs and D*H = 6 outputs, and "
        "no tensors of the file have the shapes of all the weights of such a cell: it is another model's "
        "run, or hidden is not what the cell returned"
    )


def test_only_the_tensors_that_are_asked_for(tmp_path: Path) -> None:
    own, other = own_cell(), own_cell(seed=5)
    tensors = {**own, **{f"twin.{name}": array for name, array in other.items()}}
    x = _inputs()
    hidden = run_own_cell(other, x, np.zeros((3, 6), np.float32))
    model, example = write(tmp_path, tensors, x=x, hidden=hidden)

    assert identify(model, example, stack="twin.net").fits[0].prefix == "twin.net."
    assert identify(model, example).fits[0].prefix == "twin.net."
    with pytest.raises(IdentificationError, match="no layout explains"):
        identify(model, example, stack="net")
    with pytest.raises(StackSelectionError, match="no tensor whose name begins with 'rnn'; it holds head"):
        identify(model, example, stack="rnn")


def test_an_existing_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    model, example = _recorded(tmp_path, own_cell(), _inputs())
    out = tmp_path / "own.toml"
    out.write_text("mine")

    with pytest.raises(TargetError, match="the file exists; choose another name, or replace it with --force"):
        identify(model, example, out=out)
    assert out.read_text() == "mine"
    identify(model, example, out=out, force=True)
    assert load(out).update == "takes"


def test_a_format_that_says_how_it_is_stored_needs_no_search(tmp_path: Path) -> None:
    _, example = _recorded(tmp_path, own_cell(), _inputs())

    with pytest.raises(UnknownFormatError, match="of the format onnx, which says itself how its GRUs"):
        identify(SAMPLES / "digits_two_layer.onnx", example)


def test_a_large_checkpoint_is_searched_module_by_module(tmp_path: Path) -> None:
    own, x = own_cell(), _inputs()
    rng = np.random.default_rng(4)
    blocks = {
        f"block{n}.{name}": rng.standard_normal(shape).astype(np.float32)
        for n in range(5)
        for name, shape in {"a": (6, 4), "b": (6, 6), "c": (6, 6), "d": (6,), "e": (6,), "f": (18,)}.items()
    }
    hidden = run_own_cell(own, x, np.zeros((3, 6), np.float32))
    model, example = write(tmp_path, {**blocks, **own}, x=x, hidden=hidden)

    found = identify(model, example)

    assert (found.fits[0].prefix, found.fits[0].layout.update) == ("net.", "takes")
    assert len(found.fits[0].left_over) == len(blocks) + 1
