"""PyTorch runs state dicts that torch and safetensors saved, and does what the equations say."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.errors import BackendError, ProbeError
from grubridge.spec import CANDIDATE, RESET, UPDATE, Array, GRUSpec, fuse
from grubridge.traces import Probe, Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.zoo import make_spec, member

RZN = (RESET, UPDATE, CANDIDATE)
NAMES = ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")

SPECS = {
    spec.name: spec
    for spec in (
        *map(member, ("reset_after", "no_bias", "bidirectional", "two_layers_bidirectional")),
        *map(member, ("float16", "bfloat16")),
        make_spec("three_layers_float64", dtype="float64", sizes=(4, 5, 5, 5), seed=31),
    )
}
CELL = make_spec("cell", sizes=(4, 5), seed=32)
CASES = [*SPECS, "whole_sequences", "zero_states", "nested", "safetensors", "safetensors_bfloat16", "cell"]


def _state_dict(torch: ModuleType, spec: GRUSpec, *, cell: bool = False) -> dict[str, Any]:
    """Return the spec as nn.GRU names its parameters."""
    named: dict[str, Any] = {}
    for k, way, direction in spec.directions():
        end = "" if cell else f"_l{k}_reverse" if way == "backward" else f"_l{k}"
        for name, part in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), NAMES, strict=True):
            gates = getattr(direction, part)
            if gates is not None:
                named[name + end] = _tensor(torch, fuse(gates, RZN, 0).to_array())
    return named


def _tensor(torch: ModuleType, array: Array) -> Any:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(array)


def _address(spec: GRUSpec, **changes: Any) -> dict[str, Any]:
    first = spec.layers[0]
    return {
        "keys": [],
        "prefix": "",
        "cell": False,
        "input_size": spec.input_size,
        "hidden_size": first.hidden_size,
        "num_layers": len(spec.layers),
        "bidirectional": first.backward is not None,
        "bias": any(direction.input_bias is not None for _, _, direction in spec.directions()),
        **changes,
    }


@pytest.fixture(scope="module")
def runs(
    torch: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Any, Job, GRUSpec]]:
    """Every case, run in one process."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("pytorch")
    cases: dict[str, tuple[GRUSpec, Probe, Artifact]] = {}

    def add(name: str, spec: GRUSpec, stored: Any, probe: Probe, **changes: Any) -> None:
        is_safetensors = name.startswith("safetensors")
        path = folder / f"{name}.{'safetensors' if is_safetensors else 'pt'}"
        (save_file if is_safetensors else torch.save)(stored, path)
        file_format = "safetensors" if is_safetensors else "pytorch"
        cases[name] = spec, probe, Artifact(str(path), file_format, _address(spec, **changes))

    for name, spec in SPECS.items():
        add(name, spec, _state_dict(torch, spec), make_probe(spec))
    spec = SPECS["two_layers_bidirectional"]
    stored = _state_dict(torch, spec)
    others = {"encoder.fc.weight": torch.zeros(2, 2), "encoder.rnn_type": torch.zeros(1)}
    prefixed = {f"encoder.rnn.{key}": value for key, value in stored.items()} | others
    add("whole_sequences", spec, stored, make_probe(spec, lengths=None))
    add("zero_states", spec, stored, make_probe(spec, states=False))
    checkpoint = {"epoch": 3, "model": {"state_dict": prefixed}}
    add("nested", spec, checkpoint, make_probe(spec), keys=["model", "state_dict"], prefix="encoder.rnn.")
    add("safetensors", spec, prefixed, make_probe(spec), prefix="encoder.rnn.")
    narrow = SPECS["bfloat16"]
    add("safetensors_bfloat16", narrow, _state_dict(torch, narrow), make_probe(narrow))
    add("cell", CELL, _state_dict(torch, CELL, cell=True), make_probe(CELL), cell=True)

    jobs = [Job("pytorch", artifact, probe) for _, probe, artifact in cases.values()]
    outcomes = run_jobs(jobs)
    return {
        name: (outcome, job, spec)
        for (name, (spec, _, _)), job, outcome in zip(cases.items(), jobs, outcomes, strict=True)
    }


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_equations(case: str, runs: Mapping[str, tuple[Any, Job, GRUSpec]]) -> None:
    trace, job, spec = runs[case]

    assert isinstance(trace, Trace), trace
    assert_agrees(trace, spec, job.probe)
    assert trace.native
    assert trace.backend == "pytorch"
    assert trace.version.startswith("torch 2.")
    assert trace.device == "cpu"
    assert trace.seconds > 0


def test_says_how_it_ran(runs: Mapping[str, tuple[Any, Job, GRUSpec]]) -> None:
    notes = {case: run[0].notes for case, run in runs.items()}

    assert notes["bidirectional"] == ("steps past a sequence's end are zero (pack_padded_sequence)",)
    assert not any("pack_padded_sequence" in note for note in notes["whole_sequences"])
    assert notes["cell"] == ("nn.GRUCell, stepped through time",)


def test_whole_stack_and_single_layers_differ_by_rounding_at_most(
    runs: Mapping[str, tuple[Any, Job, GRUSpec]],
) -> None:
    told = [note for trace, _, _ in runs.values() for note in trace.notes if "one by one" in note]
    largest = {note: float(note.rsplit(" ", 1)[1]) for note in told}

    assert all(0 < value < 1e-2 for value in largest.values()), largest


def test_padding_is_zero(runs: Mapping[str, tuple[Any, Job, GRUSpec]]) -> None:
    trace, job, _ = runs["bidirectional"]

    assert job.probe.lengths is not None
    assert not trace.places[0, "forward"].hidden[1, job.probe.lengths[1] :].any()


def test_refusals_are_torch_s_own_words(torch: ModuleType, tmp_path: Path) -> None:
    spec = member("reset_after")
    stored = _state_dict(torch, spec)
    files = {
        "whole.pt": stored,
        "elsewhere.pt": {f"rnn\x1b.{key}": value for key, value in stored.items()},
        "missing.pt": {key: value for key, value in stored.items() if key != "bias_hh_l0"},
        "surplus.pt": {**stored, "weight_ih_l1": stored["weight_ih_l0"]},
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "missing.pt").read_bytes()[:-200])
    torch.save({"module": torch.nn.GRU(2, 3)}, tmp_path / "pickled.pt")
    probe = make_probe(spec)

    def job(name: str, probe: Probe) -> Job:
        return Job("pytorch", Artifact(str(tmp_path / name), "pytorch", _address(spec)), probe)

    narrow = Probe(probe.x[:, :, :2])
    large = Probe(probe.x, {(0, "forward"): np.zeros((3, 9))})
    missing, surplus, cut, pickled, elsewhere, thin, wide = run_jobs(
        [
            job("missing.pt", probe),
            job("surplus.pt", probe),
            job("cut.pt", probe),
            job("pickled.pt", probe),
            job("elsewhere.pt", probe),
            job("whole.pt", narrow),
            job("whole.pt", large),
        ]
    )

    assert isinstance(missing, BackendError)
    assert 'Missing key(s) in state_dict: "bias_hh_l0"' in str(missing)
    assert str(missing).startswith(
        f"{tmp_path / 'missing.pt'}: pytorch failed on it. Its own words:\n  RuntimeErr"
    )
    assert 'Unexpected key(s) in state_dict: "weight_ih_l1"' in str(surplus)
    assert "failed finding central directory" in str(cut)
    assert "Weights only load failed" in str(pickled)
    assert str(elsewhere).endswith("pytorch cannot run it: its state dict has no GRU under the prefix ''")
    assert "Expected 5, got 2" in str(thin)
    assert isinstance(wide, ProbeError)
    assert str(wide).endswith("the initial state of layer 0 forward must be [3, 7]; received [3, 9]")


def test_a_device_that_is_not_there(torch: ModuleType, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    spec = member("reset_after")
    torch.save(_state_dict(torch, spec), tmp_path / "model.pt")
    artifact = Artifact(str(tmp_path / "model.pt"), "pytorch", _address(spec))

    wanted, automatic = run_jobs(
        [Job("pytorch", artifact, make_probe(spec), how) for how in ("cuda", "auto")]
    )

    assert isinstance(wanted, BackendError)
    assert str(wanted) == (
        f"{tmp_path / 'model.pt'}: pytorch cannot run it: it has no device 'cuda' here; it offers cpu"
    )
    assert isinstance(automatic, Trace)
    assert automatic.device == "cpu"
