"""verify as a cold process against the frameworks' own scripts; the analysis against a float64 forward."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import grubridge
from benchmarks.grus import Setting, make_probe, make_spec
from benchmarks.processes import Ratio, compare, run
from benchmarks.runtimes import run_natively
from benchmarks.table import Row
from grubridge import reference
from grubridge.checker import compare as judging
from grubridge.checker.findings import Side
from grubridge.reference.arithmetic import arithmetic_of

__all__ = ["rows"]

_ROOT = Path(__file__).resolve().parents[1]
_SAMPLES = _ROOT / "samples"
_RUNS = 5

_PEERS = {".keras": "peer_run_keras.py", ".onnx": "peer_run_onnxruntime.py", ".pt": "peer_run_pytorch.py"}
_VERIFY_LIMIT = 1.25
_ANALYSIS_LIMIT = 3.0
_LONG, _SHORT, _MEMORY = 10_000, 1_000, 512
"""Steps of the long check and of its baseline, and what the long one may take, in MiB."""


def rows() -> Iterator[Row]:
    """Yield one row per comparison."""
    yield from _verify_rows()
    yield from _long_rows()
    yield from _analysis_rows()


def _verify_rows() -> Iterator[Row]:
    """The whole command against the slower of the two frameworks' scripts on the same files."""
    command = str(Path(sys.executable).with_name("grubridge"))
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        for source, endings in (
            ("digits_bidirectional.keras", (".onnx", ".pt")),
            ("digits_two_layer.pt", (".onnx",)),
        ):
            for ending in endings:
                first, second = _SAMPLES / source, Path(folder, source).with_suffix(ending)
                grubridge.convert(first, second, force=True)
                scripts = [
                    [sys.executable, str(_ROOT / "benchmarks" / _PEERS[path.suffix]), str(path)]
                    for path in (first, second)
                ]
                slowest = max(scripts, key=lambda script: run(script).seconds)
                found = compare([command, "verify", str(first), str(second)], slowest, _RUNS)
                against = Path(slowest[1]).stem.removeprefix("peer_run_") + " alone"
                yield Row(f"verify {first.suffix} {ending}", against, found, _VERIFY_LIMIT)


def _long_rows() -> Iterator[Row]:
    """10,000 steps take no more than their share of time, and no more memory than fits."""
    command = str(Path(sys.executable).with_name("grubridge"))
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        paths = [str(Path(folder, name)) for name in ("model.pt", "model.onnx")]
        spec = make_spec(Setting(256, 64, 1, 1), np.random.default_rng(0))
        for path in paths:
            grubridge.write(spec, path)
        verify = [command, "verify", *paths, "--batch", "1", "--steps"]
        found = compare([*verify, str(_LONG)], [*verify, str(_SHORT)], 1)
        yield Row(f"verify, H 256, {_LONG:,} steps", f"{_SHORT:,} steps", found, _LONG / _SHORT, _MEMORY)


def _analysis_rows() -> Iterator[Row]:
    """The analysis of one run against the equations run once, in this process."""
    for hidden_size in (64, 256, 512):
        found = _analysis(Setting(hidden_size, 64, 1024, 1))
        yield Row(f"analysis, H {hidden_size}, 1,024 steps", "float64 forward", found, _ANALYSIS_LIMIT)


def _analysis(setting: Setting) -> Ratio:
    rng = np.random.default_rng(setting.hidden_size)
    spec = make_spec(setting, rng)
    probe = make_probe(setting, spec, rng)
    _, trace = run_natively(spec, "pytorch", probe)
    sides = Side("model", "pytorch"), Side("model", None)
    how = arithmetic_of(trace.backend, trace.dtype)
    return _in_turn(
        lambda: judging.compare(spec, trace, probe, "read", sides, how), lambda: reference.run(spec, probe)
    )


def _in_turn(function: Callable[[], object], baseline: Callable[[], object]) -> Ratio:
    """Call a function and its baseline in turn, after one uncounted pair, as processes are compared."""

    def seconds(called: Callable[[], object]) -> float:
        start = time.perf_counter()
        called()
        return time.perf_counter() - start

    pairs = [(seconds(function), seconds(baseline)) for _ in range(_RUNS + 1)][1:]
    return Ratio(
        statistics.median(one / other for one, other in pairs),
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        0,
    )
