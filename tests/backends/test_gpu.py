"""Every runtime on a CUDA device: right within float32's rounding, and TF32 only when it is allowed."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, devices, run_jobs
from grubridge.backends.registry import BACKENDS
from grubridge.formats.registry import adapter
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.zoo import make_spec

pytestmark = pytest.mark.gpu

FRAMEWORKS = {"keras": "keras", "onnxruntime": "onnxruntime", "pytorch": "torch"}
KERNELS = {
    "keras": "keras GRU on tensorflow, called eagerly",
    "onnxruntime": "GRU node, CUDAExecutionProvider",
    "pytorch": "nn.GRU, cuDNN",
}
SPECS = (
    make_spec("plain", sizes=(24, 64), seed=81),
    make_spec("both_ways", sizes=(24, 32), directions="both", seed=82),
    make_spec("half", sizes=(8, 16), dtype="float16", seed=83),
)
Runs = Mapping[tuple[str, bool], tuple[Trace, GRUSpec, Probe]]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Every spec with and without TF32 on the first CUDA device, by (name, allowed)."""
    backend, folder = request.param, tmp_path_factory.mktemp(request.param)
    assert isinstance(request.getfixturevalue(FRAMEWORKS[backend]), ModuleType)
    offered = devices([backend])[backend]
    assert isinstance(offered, tuple), offered
    if not any(device.startswith("cuda") for device in offered):
        pytest.skip(f"{backend} has no CUDA device here; it offers {', '.join(offered)}")
    target = adapter(BACKENDS[backend].formats[0])
    cases: dict[tuple[str, bool], tuple[Job, GRUSpec, Probe]] = {}
    for spec in SPECS:
        path = folder / f"{spec.name}{target.SUFFIXES[0]}"
        grubridge.write(spec, path)
        artifact = Artifact(str(path), target.NAME, open_artifact(path).select().address)
        for allowed in (False, True):
            probe = make_probe(spec)
            job = Job(backend, artifact, probe, "cuda", allow_tf32=allowed)
            cases[spec.name, allowed] = job, spec, probe
    outcomes = run_jobs([job for job, _, _ in cases.values()])
    made: dict[tuple[str, bool], tuple[Trace, GRUSpec, Probe]] = {}
    for (name, (_, spec, probe)), outcome in zip(cases.items(), outcomes, strict=True):
        assert isinstance(outcome, Trace), (name, outcome)
        made[name] = outcome, spec, probe
    return made


def test_agrees_with_the_equations(runs: Runs) -> None:
    for (name, allowed), (trace, spec, probe) in runs.items():
        assert trace.device.startswith("cuda"), name
        if not (allowed and spec.dtype == "float32"):
            assert_agrees(trace, spec, probe)


def test_says_what_computed_and_how_precisely(runs: Runs) -> None:
    for (name, allowed), (trace, _, _) in runs.items():
        assert trace.kernel == KERNELS[trace.backend], name
        expected = "float16" if name == "half" else "float32, TF32 allowed" if allowed else "float32"
        assert trace.precision == expected, name


def test_tf32_is_another_computation(runs: Runs) -> None:
    """TF32 has 10 bits after the point: its states leave those of float32 by far more than rounding."""
    forbidden, allowed = (runs["plain", which][0].places[0, "forward"].hidden for which in (False, True))

    assert abs(forbidden - allowed).max() > 1e-5


def test_a_described_cell_agrees_with_the_equations(torch: ModuleType, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("pytorch has no CUDA device here")
    spec = make_spec("cell", sizes=(24, 64), reset_after=False, biases="input", seed=84)
    path = tmp_path / "cell.pt"
    grubridge.write(spec, path, options=grubridge.WriteOptions(layout="d2l"))
    address = open_artifact(path, hints=grubridge.ReadHints(layout="d2l")).select().address
    probe = make_probe(spec)

    (trace,) = run_jobs([Job("pytorch", Artifact(str(path), "pytorch", address), probe, "cuda")])

    assert isinstance(trace, Trace), trace
    assert (trace.device, trace.precision) == ("cuda:0", "float32")
    assert trace.kernel == "cell d2l as described, torch operators"
    assert_agrees(trace, spec, probe)
