"""Checkpoints that grubridge writes, opened by torch."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest

from grubridge.files.zips import read_zip
from grubridge.formats.base import Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.pytorch import adapter as pytorch
from grubridge.formats.readback import differences
from grubridge.spec import (
    GATE_NAMES,
    Action,
    GRUSpec,
    Layout,
    MergeMode,
    StackIO,
    unsupported,
)
from tests.torch_grus import assert_same_function
from tests.zoo import ZOO, member

NO_PROVENANCE = Provenance({})
CANONICAL = Layout(GATE_NAMES, "output")
HELD = [spec for spec in ZOO if not unsupported(spec, pytorch.CAPABILITIES, "pytorch")]


def _write(spec: GRUSpec, path: Path, source: Layout = CANONICAL) -> Written:
    return pytorch.write(spec, path, WriteOptions(), NO_PROVENANCE, source)


def test_the_zoo_has_specs_that_fit_and_specs_that_do_not() -> None:
    assert {spec.name for spec in HELD} == {
        "bfloat16", "bidirectional", "candidate_recurrent_bias", "float16", "input_bias_only", "no_bias",
        "reset_after", "two_layers_bidirectional",
    }  # fmt: skip


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_torch_computes_what_was_written(torch: ModuleType, tmp_path: Path, spec: GRUSpec) -> None:
    path = tmp_path / "weights.pt"
    written = _write(spec, path)
    code = written.notes[0].removeprefix("load it with ").replace("'weights.pt'", "path")

    names = {"torch": torch, "path": path}
    exec(code, names)  # noqa: S102

    module: object = names["gru"]
    assert isinstance(module, torch.nn.GRU)
    assert_same_function(written.stored, module.double(), 1e-12)
    assert_same_function(spec, module.double(), 1e-12)


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_a_written_file_is_read_back_bit_by_bit(tmp_path: Path, spec: GRUSpec) -> None:
    written = _write(spec, tmp_path / "weights.pt")
    (entry,) = pytorch.contents(tmp_path / "weights.pt", ReadHints()).stacks

    assert differences(entry.read(), written.stored) == ()
    if spec.name not in {"input_bias_only", "candidate_recurrent_bias"}:
        assert differences(entry.read(), spec) == ()


@pytest.mark.parametrize("options", [{}, {"mmap": True}])
def test_torch_loads_weights_only(torch: ModuleType, tmp_path: Path, options: dict[str, bool]) -> None:
    spec = member("two_layers_bidirectional")
    _write(spec, tmp_path / "weights.pt")

    state = torch.load(tmp_path / "weights.pt", weights_only=True, **options)

    gates = spec.layers[1].backward.recurrent_weight  # type: ignore[union-attr]
    expected = np.concatenate([gates.reset, gates.update, gates.candidate])
    assert list(state)[:4] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert len(state) == 16
    assert np.array_equal(state["weight_hh_l1_reverse"].numpy(), expected)


def test_the_archive_is_sound_aligned_and_always_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / "one.pt", tmp_path / "two.pt"]
    for path in paths:
        _write(member("bidirectional"), path)

    with zipfile.ZipFile(paths[0]) as archive:
        assert archive.testzip() is None
    records = [entry for name, entry in read_zip(paths[0]).items() if "/data/" in name]
    assert len(records) == 8
    assert {entry.offset % 64 for entry in records} == {0}
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_provenance_is_a_record_that_torch_passes_over(torch: ModuleType, tmp_path: Path) -> None:
    path, entries = tmp_path / "weights.pt", {"grubridge.version": "1", "source.sha256": "ab"}
    pytorch.write(member("no_bias"), path, WriteOptions(), Provenance(entries), CANONICAL)

    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("archive/extra/provenance.json")) == entries
    assert list(torch.load(path, weights_only=True)) == ["weight_ih_l0", "weight_hh_l0"]


def _actions(spec: GRUSpec, source: Layout, tmp_path: Path) -> dict[str, tuple[Action, ...]]:
    written = _write(spec, tmp_path / "weights.pt", source)
    assert all(record.exact for record in written.records)
    return {record.tensor: record.actions for record in written.records}


def test_records_say_what_was_done_to_each_tensor(tmp_path: Path) -> None:
    keras = Layout(("update", "reset", "candidate"), "input")
    assert _actions(member("input_bias_only"), keras, tmp_path) == {
        "weight_ih_l0": ("permuted", "transposed"),
        "weight_hh_l0": ("permuted", "transposed"),
        "bias_ih_l0": ("permuted",),
        "bias_hh_l0": ("zero-filled",),
    }


def test_records_of_the_same_layout_say_copied(tmp_path: Path) -> None:
    same = Layout(("reset", "update", "candidate"), "output")
    assert set(_actions(member("bidirectional"), same, tmp_path).values()) == {("copied",)}


@pytest.mark.parametrize("mode", [mode for mode in (*get_args(MergeMode), None) if mode != "concat"])
def test_another_way_to_join_directions_is_said(tmp_path: Path, mode: MergeMode | None) -> None:
    spec = replace(member("bidirectional"), io=StackIO(merge_mode=mode))

    _, note = _write(spec, tmp_path / "weights.pt").notes

    assert note.startswith(
        "the source's two directions were " + (f"joined by {mode}" if mode else "kept apart")
    )
    assert note.endswith(
        "nn.GRU returns them side by side, forward first: "
        + ("join" if mode else "split")
        + " them in your own code"
    )


@pytest.mark.parametrize(
    ("io", "note"),
    [
        (
            StackIO(masking=True),
            "the source skipped masked steps; nn.GRU has no mask: pass packed sequences",
        ),
        (
            StackIO(stateful=True),
            "the source kept its state between batches: pass the last state back in your own code",
        ),
    ],
)
def test_what_the_source_did_around_the_gru_is_said(tmp_path: Path, io: StackIO, note: str) -> None:
    assert _write(replace(member("reset_after"), io=io), tmp_path / "weights.pt").notes[1:] == (note,)


def test_time_major_is_kept_in_the_constructor(tmp_path: Path) -> None:
    spec = replace(member("reset_after"), io=StackIO(time_major=True))

    assert "batch_first=False" in _write(spec, tmp_path / "weights.pt").notes[0]
