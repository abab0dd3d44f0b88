"""A backend in a process of its own: what comes back when it works, crashes, hangs, is broken or missing."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.backends.base import Artifact, choose_device, precision
from grubridge.backends.launch import Job, devices, run_jobs
from grubridge.backends.registry import (
    BACKENDS,
    BackendEntry,
    available,
    find,
    native_backend,
    require,
)
from grubridge.errors import (
    BackendError,
    CannotRunError,
    DeviceError,
    GRUBridgeError,
    MissingDependencyError,
    ProbeError,
)
from grubridge.files.limits import limits
from grubridge.traces import DirectionTrace, Probe, Trace

PROBE = Probe(np.arange(24.0).reshape(2, 3, 4), {(0, "backward"): np.full((2, 1), 0.5)}, np.array([3, 1]))

FAKE = """
import os, sys, tempfile, time
import numpy as np
from grubridge.errors import BackendError, CannotRunError, ProbeError
from grubridge.spec import Gates
from grubridge.traces import DirectionTrace, Trace

def version():
    return "fake 1.0"

def devices():
    return ("cpu",)

def run(artifact, probe, device, *, allow_tf32=False):
    what = artifact.address["do"]
    if what == "abort":
        print("frame 1\\nthe last \\x1b[31mwords", file=sys.stderr, flush=True)
        os.abort()
    if what == "eat":
        raise RuntimeError(f"it had {len(bytearray(200 << 20))} bytes")
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    if what == "raise":
        raise RuntimeError("no such\\n\\ntensor\\x07")
    if what == "import":
        import a_module_that_is_not_there
    if what == "cannot":
        raise CannotRunError("fake has no float64", reason="no float64")
    if what == "probe":
        raise ProbeError("x is too narrow")
    if what == "environment":
        level = os.environ["TF_CPP_MIN_LOG_LEVEL"]
        notes = (os.getcwd(), tempfile.gettempdir(), artifact.path, level, *sys.path)
    else:
        notes = (what,)
    start = probe.initial_state[0, "backward"]
    gates = Gates(probe.x, -probe.x, probe.x / 3)
    made = DirectionTrace(probe.x, start, probe.x[..., :1] * 2, gates, "replayed")
    told = {"kernel": "none", "precision": f"TF32 {allow_tf32}"}
    return Trace("fake", version(), device, "float64", True, {(0, "backward"): made}, notes=notes, **told)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Job]:
    """Install the backends fake and other, which do what an address says; return how to ask them."""
    for name in ("fake", "other"):
        (tmp_path / f"{name}_backend.py").write_text(textwrap.dedent(FAKE), encoding="utf-8")
        monkeypatch.setitem(BACKENDS, name, BackendEntry(f"{name}_backend", ("fake",), (), "torch"))
    monkeypatch.syspath_prepend(tmp_path)

    def job(what: str, backend: str = "fake", device: str = "cpu") -> Job:
        return Job(backend, Artifact("model\x1b.fake", "fake", {"do": what}), PROBE, device)

    return job


def run_job(job: Job) -> Trace:
    (outcome,) = run_jobs([job])
    if isinstance(outcome, GRUBridgeError):
        raise outcome
    return outcome


def test_a_trace_comes_back_whole(fake: Callable[[str], Job]) -> None:
    trace = run_job(fake("work"))

    made = trace.places[0, "backward"]
    assert (trace.backend, trace.version, trace.device, trace.dtype) == ("fake", "fake 1.0", "cpu", "float64")
    assert trace.native
    assert trace.notes == ("work",)
    assert 0 < trace.seconds < 10
    assert made.gates is not None
    assert made.gate_source == "replayed"
    np.testing.assert_array_equal(made.x, PROBE.x)
    np.testing.assert_array_equal(made.hidden, PROBE.x[..., :1] * 2)
    np.testing.assert_array_equal(made.gates.candidate, PROBE.x / 3)
    np.testing.assert_array_equal(made.initial_state, PROBE.initial_state[0, "backward"])


def test_a_trace_without_gates_can_be_saved(tmp_path: Path) -> None:
    made = DirectionTrace(PROBE.x, np.zeros((2, 1)), PROBE.x[..., :1], None, "observed")
    saved = Trace(
        "fake",
        "1",
        "cuda",
        "float16",
        native=False,
        places={(3, "forward"): made},
        seconds=2.5,
        notes=("a", "b"),
    )
    saved.save(tmp_path / "trace.npz")
    loaded = Trace.load(tmp_path / "trace.npz")

    assert loaded.places[3, "forward"].gates is None
    assert loaded.places[3, "forward"].gate_source == "observed"
    assert (loaded.device, loaded.native, loaded.seconds, loaded.notes) == ("cuda", False, 2.5, ("a", "b"))
    np.testing.assert_array_equal(loaded.places[3, "forward"].hidden, made.hidden)


def test_outcomes_keep_their_order_and_backends_run_side_by_side(fake: Callable[..., Job]) -> None:
    jobs = [
        fake("one"),
        fake("raise"),
        fake("two", "other"),
        fake("cannot"),
        fake("three"),
        fake("probe", "other"),
    ]
    one, failed, two, cannot, three, probe = run_jobs(jobs)

    assert [trace.notes for trace in (one, two, three) if isinstance(trace, Trace)] == [
        ("one",),
        ("two",),
        ("three",),
    ]
    assert type(failed) is BackendError
    assert str(failed) == (
        "model\\x1b.fake: fake failed on it. Its own words:\n  RuntimeError: no such\n  tensor\\x07\n"
        "Another version of the framework may run it, and --backend leaves a runtime out"
    )
    assert isinstance(cannot, CannotRunError)
    assert (str(cannot), cannot.reason) == (
        "model\\x1b.fake: fake cannot run it: fake has no float64",
        "no float64",
    )
    assert isinstance(probe, ProbeError)
    assert str(probe) == "model\\x1b.fake: other cannot take the inputs: x is too narrow"


def test_a_crash_is_an_error_with_the_last_words(fake: Callable[[str], Job]) -> None:
    before, crashed, after = run_jobs([fake("before"), fake("abort"), fake("after")])

    assert isinstance(before, Trace)
    assert isinstance(crashed, BackendError)
    assert str(crashed) == (
        "model\\x1b.fake: fake failed: its process was killed by SIGABRT before it answered; the file may be "
        "damaged, or memory too small. Its last words:\n  frame 1\n  the last \\x1b[31mwords"
    )
    assert isinstance(after, Trace)  # in a new process


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells how much memory there is")
def test_memory_has_a_limit(fake: Callable[[str], Job]) -> None:
    with limits(max_memory=64 << 20):
        ate, crashed, after = run_jobs([fake("eat"), fake("abort"), fake("after")])

    allowed = "64MiB of memory beside its own were allowed; --max-memory SIZE allows more"
    assert isinstance(ate, BackendError)
    assert str(ate) == (f"model\\x1b.fake: fake failed on it. Its own words:\n  MemoryError: \n{allowed}")
    assert isinstance(crashed, BackendError)  # which may have been for want of memory
    assert str(crashed).endswith(f"the last \\x1b[31mwords\n{allowed}")
    assert isinstance(after, Trace)
    assert "RuntimeError: it had 209715200 bytes" in str(run_jobs([fake("eat")])[0])  # as much as there is


def test_a_silent_exit_is_an_error(fake: Callable[[str], Job]) -> None:
    with pytest.raises(
        BackendError, match=r"ended with exit code 3 before it answered; .* words:\n  \(none\)"
    ):
        run_job(fake("exit"))


def test_a_hang_is_ended(fake: Callable[[str], Job]) -> None:
    started = time.monotonic()

    with (
        pytest.raises(
            BackendError,
            match=r"fake failed: it gave no answer within 2 s, so its process was ended; try fewer or "
            r"shorter sequences, a smaller model, or --timeout SECONDS$",
        ),
        limits(timeout=2),
    ):
        run_job(fake("sleep"))
    assert time.monotonic() - started < 20


def test_a_framework_that_cannot_be_imported(fake: Callable[[str], Job]) -> None:
    with pytest.raises(
        MissingDependencyError, match="No module named 'a_module_that_is_not_there'"
    ) as caught:
        run_job(fake("import"))

    assert caught.value.extra == "torch"
    assert str(caught.value).endswith("install it again: pip install --force-reinstall 'grubridge[torch]'")


def test_a_framework_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    job = Job("pytorch", Artifact("model.pt", "pytorch", {}), PROBE)

    assert not available("pytorch")
    with pytest.raises(MissingDependencyError) as caught:
        run_job(job)
    assert str(caught.value) == (
        "the backend pytorch needs torch, which this Python has not: pip install 'grubridge[torch]'"
    )
    for name in ("tensorflow", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="needs tensorflow or torch or jax, which"):
        require("keras")


def test_an_unknown_backend() -> None:
    with pytest.raises(BackendError) as caught:
        find("pytroch")
    assert str(caught.value) == (
        "unknown backend 'pytroch'. Did you mean 'pytorch'? Known backends: keras, onnxruntime, pytorch"
    )


def test_the_child_is_set_up(fake: Callable[[str], Job], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    before = Path.cwd()
    os.chdir(tmp_path / "here")
    try:
        folder, litter, path, log_level, *module_path = run_job(fake("environment")).notes
    finally:
        os.chdir(before)

    assert path == str(tmp_path / "here" / "model\x1b.fake")
    assert folder not in {str(before), str(tmp_path / "here")}
    assert not Path(folder).exists()
    assert litter == folder
    assert log_level == "3"
    assert str(tmp_path) in module_path
    assert str(tmp_path / "here") not in module_path


def test_a_module_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    code = "from grubridge.backends.launch import devices; print(devices(['pytorch']))"
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "ran" not in done.stdout


@pytest.mark.usefixtures("fake")
def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "other", BackendEntry("not_there", (), (), "torch"))
    offered = devices(["fake", "other", "pytroch"])

    assert offered["fake"] == ("cpu",)
    assert isinstance(offered["other"], GRUBridgeError)
    assert "No module named 'not_there'" in str(offered["other"])
    assert "Did you mean" in str(offered["pytroch"])


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("auto", ("cpu",), "cpu"),
        ("auto", ("cpu", "cuda"), "cuda"),
        ("auto", ("cpu", "cuda:0", "cuda:1"), "cuda:0"),
        ("cpu", ("cpu", "cuda:0"), "cpu"),
        ("cuda", ("cpu", "cuda:0", "cuda:1"), "cuda:0"),
        ("cuda:1", ("cpu", "cuda:0", "cuda:1"), "cuda:1"),
        ("cuda:3", ("cpu", "cuda"), "cuda:3"),  # how many there are is not known
    ],
)
def test_choice_of_a_device(wanted: str, offered: tuple[str, ...], chosen: str) -> None:
    assert choose_device(wanted, offered) == chosen


@pytest.mark.parametrize(
    ("wanted", "offered", "words"),
    [
        ("tpu", ("cpu", "cuda"), "it has no device 'tpu' here; it offers cpu, cuda"),
        ("cuda", ("cpu",), "it has no device 'cuda' here; it offers cpu"),
        ("cuda:2", ("cpu", "cuda:0"), "it has no device 'cuda:2' here; it offers cpu, cuda:0"),
        ("cuda:\x1b", ("cpu", "cuda"), "it has no device 'cuda:\\x1b' here; it offers cpu, cuda"),
    ],
)
def test_a_device_that_there_is_not(wanted: str, offered: tuple[str, ...], words: str) -> None:
    with pytest.raises(DeviceError) as refused:
        choose_device(wanted, offered)

    assert str(refused.value) == refused.value.reason == words


def test_precision_in_words() -> None:
    assert precision("float32", "cuda:0", allow_tf32=True) == "float32, TF32 allowed"
    assert precision("float32", "cuda:0", allow_tf32=False) == "float32"
    assert precision("float32", "cpu", allow_tf32=True) == "float32"
    assert precision("float16", "cuda", allow_tf32=True) == "float16"


def test_tf32_is_forbidden_unless_it_is_allowed(fake: Callable[..., Job]) -> None:
    forbidden, allowed = run_jobs([fake("tf32"), replace(fake("tf32"), allow_tf32=True)])

    assert isinstance(forbidden, Trace)
    assert isinstance(allowed, Trace)
    assert (forbidden.precision, allowed.precision) == ("TF32 False", "TF32 True")
    assert forbidden.kernel == "none"


def test_a_device_that_is_not_offered(fake: Callable[..., Job]) -> None:
    with pytest.raises(DeviceError) as refused:
        run_job(fake("run", device="cuda"))

    assert str(refused.value) == (
        "model\\x1b.fake: fake cannot run it: it has no device 'cuda' here; it offers cpu"
    )


def test_every_format_has_a_native_backend() -> None:
    from grubridge.formats.registry import FORMATS

    assert {name: native_backend(name) for name in FORMATS} == {
        "keras": "keras",
        "onnx": "onnxruntime",
        "pytorch": "pytorch",
        "safetensors": "pytorch",
        "tensorflow": "keras",
    }
