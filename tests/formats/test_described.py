"""Files of named tensors by a layout: checkpoints and safetensors, what is found in them and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from grubridge.artifacts import open_artifact
from grubridge.conversion import convert, read, write
from grubridge.errors import StackSelectionError, UnknownFormatError, UnsupportedFeatureError
from grubridge.formats.base import ReadHints, WriteOptions
from grubridge.layouts.toml import from_json, load, to_toml
from tests.layouts.cells import CELLS, draw

D2L = ReadHints(layout="d2l")


def _saved(folder: Path, tensors: Mapping[str, Any], name: str = "model.safetensors") -> Path:
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, folder / name)
    return folder / name


def test_a_cell_in_a_model_is_read_and_the_rest_left_alone(tmp_path: Path) -> None:
    rest = {"W_hq": np.ones((4, 9)), "b_q": np.ones(9)}
    path = _saved(tmp_path, {**draw("d2l", prefix="net.rnn."), **rest})

    spec = read(path, hints=D2L)

    assert spec.name == "net.rnn"
    assert spec.io.time_major
    assert spec.source is not None
    assert spec.source.notes == ("not part of a GRU and left alone: W_hq, b_q",)
    assert spec.layers[0].forward is not None
    assert (spec.layers[0].forward.input_weight.reset == draw("d2l")["W_xr"].T).all()


def test_several_cells_are_several_stacks(tmp_path: Path) -> None:
    path = _saved(tmp_path, {**draw("d2l", 1, "b.10."), **draw("d2l", 2, "b.9."), **draw("d2l", 3)})

    contents = open_artifact(path, hints=D2L).contents

    assert [entry.name for entry in contents.stacks] == ["b.9", "b.10", "gru"]
    assert from_json(contents.stacks[0].address["layout"]) == load("d2l")
    assert contents.stacks[0].address["prefix"] == "b.9."
    with pytest.raises(
        StackSelectionError, match=r"it holds 3 GRUs: b\.9, b\.10, gru; choose one with --stack"
    ):
        read(path, hints=D2L)


def test_a_cell_in_a_checkpoint_is_found_at_any_depth(torch: ModuleType, tmp_path: Path) -> None:
    tensors = {
        name: torch.from_numpy(tensor) for name, tensor in draw("split-linear", prefix="cell.").items()
    }
    torch.save({"epoch": 3, "model": tensors, "ema": dict(tensors)}, tmp_path / "model.pt")

    artifact = open_artifact(tmp_path / "model.pt", hints=ReadHints(layout="split-linear"))

    assert [entry.name for entry in artifact.contents.stacks] == ["ema.cell", "model.cell"]
    assert artifact.contents.stacks[0].address["keys"] == ["ema"]
    assert artifact.read(artifact.select("model.cell")).layers[0].reset_after


def test_a_whole_cell_beside_half_of_one(tmp_path: Path) -> None:
    half = draw("d2l", prefix="half.")
    del half["half.W_hz"], half["half.b_r"]
    path = _saved(tmp_path, {**half, **draw("d2l", prefix="whole.")})

    contents = open_artifact(path, hints=D2L).contents

    assert [entry.name for entry in contents.stacks] == ["whole"]
    assert contents.others == ("a cell 'half' of the layout d2l that lacks half.W_hz, half.b_r",)


def test_half_a_cell_says_what_it_lacks(tmp_path: Path) -> None:
    half = draw("d2l")
    del half["W_hz"], half["b_h"]

    with pytest.raises(StackSelectionError) as caught:
        read(_saved(tmp_path, half), hints=D2L)

    assert str(caught.value).endswith(
        "no GRU in it; it holds a cell of the layout d2l that lacks W_hz, b_h, which grubridge does "
        "not convert"
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("d2l", "its tensors fit the layout d2l: pass --layout d2l"),
        ("d2l-update-only", "its tensors fit the layout d2l-update-only: pass --layout d2l-update-only"),
        (
            "concat-xh",
            "its tensors fit the layouts concat-hx, concat-xh: pass your cell's, as --layout concat-hx",
        ),
    ],
)
def test_a_file_without_a_gru_says_which_layouts_fit(name: str, advice: str, tmp_path: Path) -> None:
    path = _saved(tmp_path, {**draw(name, prefix="rnn."), "fc.weight": np.ones((2, 4))})

    with pytest.raises(StackSelectionError, match=rf"model\.safetensors: no GRU in it; {advice}$"):
        read(path)


def test_another_layout_than_the_files_own_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackSelectionError) as caught:
        read(_saved(tmp_path, draw("split-linear")), hints=D2L)

    assert str(caught.value).endswith(
        "no tensor has a name of the layout d2l, which are W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, "
        "b_h; "
        "its tensors fit the layout split-linear: pass --layout split-linear"
    )


def test_files_without_named_tensors_take_no_layout(tmp_path: Path) -> None:
    convert(
        _saved(tmp_path, draw("split-linear")),
        tmp_path / "m.onnx",
        hints=ReadHints(layout="split-linear"),
        dtype="float32",
    )

    with pytest.raises(
        UnknownFormatError, match=r"--layout is for files of named tensors; this file is onnx"
    ):
        read(tmp_path / "m.onnx", hints=D2L)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_round_trip_of_every_cell(name: str, suffix: str, tmp_path: Path) -> None:
    tensors = {key: tensor.astype(np.float32) for key, tensor in draw(name, prefix="cell.").items()}
    hints, options = ReadHints(layout=name), WriteOptions(layout=name)
    middle, back = tmp_path / f"middle{suffix}", tmp_path / "back.safetensors"

    there = convert(_saved(tmp_path, tensors), middle, hints=hints, options=options)
    convert(middle, back, hints=hints, options=options)

    assert there.exact
    assert {f"cell.{key}": array.tobytes() for key, array in load_file(back).items()} == {
        key: array.tobytes() for key, array in tensors.items()
    }


@pytest.mark.parametrize("reset_after", [True, False])
def test_without_a_reset_gate_its_mode_does_not_matter(tmp_path: Path, *, reset_after: bool) -> None:
    hints = ReadHints(layout="d2l-update-only")
    spec = read(_saved(tmp_path, draw("d2l-update-only")), hints=hints)
    spec = replace(spec, layers=(replace(spec.layers[0], reset_after=reset_after),))

    write(spec, tmp_path / "out.safetensors", options=WriteOptions(layout="d2l-update-only"))

    assert load_file(tmp_path / "out.safetensors").keys() == draw("d2l-update-only").keys()


def test_an_own_layout_out_of_a_file(tmp_path: Path) -> None:
    text = to_toml(load("d2l")).replace("W_x", "kernel_").replace('"d2l"', '"mine"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    tensors = {name.replace("W_x", "kernel_"): tensor for name, tensor in draw("d2l").items()}

    own = read(_saved(tmp_path, tensors), hints=ReadHints(layout=str(tmp_path / "mine.toml")))
    usual = read(_saved(tmp_path, draw("d2l"), "usual.safetensors"), hints=D2L)

    assert all(
        np.array_equal(one, other) for (_, one), (_, other) in zip(own.arrays(), usual.arrays(), strict=True)
    )


def test_an_output_transform_is_told_and_left_to_the_user(tmp_path: Path) -> None:
    path = _saved(tmp_path, draw("concat-xh"))
    hints = ReadHints(layout="concat-xh")

    made = convert(path, tmp_path / "m.onnx", hints=hints, dtype="float32")
    same = convert(path, tmp_path / "m.pt", hints=hints, options=WriteOptions(layout="concat-hx"))
    other = convert(path, tmp_path / "o.pt", hints=hints, options=WriteOptions(layout="d2l"))

    told = "the source returns tanh of its states, the target the states: apply tanh in your own code"
    assert told in made.notes
    assert not any("returns" in note for note in same.notes)
    assert (
        "a cell of this layout returns the states, where the source returned tanh of the states"
        in other.notes
    )


def test_a_layout_that_cannot_hold_it_is_refused_before_a_byte(tmp_path: Path) -> None:
    path, target = _saved(tmp_path, draw("d2l")), tmp_path / "out.safetensors"

    with pytest.raises(UnsupportedFeatureError) as caught:
        convert(path, target, hints=D2L, options=WriteOptions(layout="pytorch", with_state=True))

    assert caught.value.features[0] == "--with-state is for ONNX"
    assert "the layout pytorch has no such GRU" in caught.value.features[1]
    assert not target.exists()


def test_other_targets_take_no_layout(tmp_path: Path) -> None:
    path = _saved(tmp_path, draw("d2l"))

    with pytest.raises(UnsupportedFeatureError, match="--to-layout is for pytorch and safetensors"):
        convert(path, tmp_path / "out.onnx", hints=D2L, dtype="float32", options=WriteOptions(layout="d2l"))


def test_a_language_model_of_nn_gru_converts_as_it_is(torch: ModuleType, tmp_path: Path) -> None:
    model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(5, 7), "linear": torch.nn.Linear(7, 5)})
    torch.save(model.state_dict(), tmp_path / "lm.pt")

    made = convert(tmp_path / "lm.pt", tmp_path / "lm.onnx")

    assert made.exact
    assert "not part of a GRU and left alone: linear.weight, linear.bias" in made.notes


def test_a_cell_with_a_bias_of_its_own_is_none_of_pytorchs(tmp_path: Path) -> None:
    """Equinox has the names of nn.GRUCell's weights; read without its bias it would be another function."""
    path = tmp_path / "equinox.safetensors"
    shapes = {"weight_ih": (21, 5), "weight_hh": (21, 7), "bias": (21,), "bias_n": (7,)}
    rng = np.random.default_rng(0)
    save_file({f"cell.{k}": rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}, path)

    with pytest.raises(StackSelectionError) as refusal:
        read(path)

    assert "'cell', whose bias is none of PyTorch's (cell.bias, cell.bias_n)" in str(refusal.value)
    assert "pass --layout equinox" in str(refusal.value)
    assert read(path, hints=ReadHints(layout="equinox")).input_size == 5
