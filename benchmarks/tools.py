"""What other tools make of the same files: the graphs that exporters write, and what a checker says."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import grubridge
from benchmarks.grus import Setting, make_spec
from grubridge.spec import GRUSpec

__all__ = ["HEADER", "rows"]

HEADER = f"{'tool':34} what came of it"

_ROOT = Path(__file__).resolve().parents[1]
_SETTING = Setting(64, 32, 1, 1, 1, both_ways=False)
_STEPS = 100
_CHANGE = 1e-5
"""Added to one bias: small, and a hundred times what rounding does."""
_NAMED = re.compile("update and reset gates|gate order", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """A line of the table. There is no claim that it could break: it says what others do."""

    tool: str
    what: str
    holds: bool = True

    def __str__(self) -> str:
        return f"{self.tool:34} {self.what}"


def rows() -> Iterator[Told]:
    """Yield a row for every tool that is installed."""
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as name:
        folder = Path(name)
        spec = make_spec(_SETTING, np.random.default_rng(1))
        for ending in ("keras", "pt", "onnx"):
            grubridge.write(spec, folder / f"m.{ending}")
        yield from _exporters(folder)
        yield from _checkers(folder, spec)


def _exporters(folder: Path) -> Iterator[Told]:
    """Yield what each exporter makes of one GRU layer, and how fast ONNX Runtime runs that."""
    command = str(Path(sys.executable).with_name("grubridge"))
    peers = {
        "Keras, model.export": ("keras", "peer_keras_export.py", "tf2onnx"),
        "tf2onnx": ("keras", "peer_tf2onnx.py", "tf2onnx"),
        "torch.onnx.export": ("pt", "peer_torch_export.py", "torch"),
    }
    own = folder / "own.onnx"
    subprocess.run([command, "convert", str(folder / "m.keras"), str(own)], check=True, capture_output=True)
    fastest = _seconds(own)
    yield Told("grubridge convert, .keras or .pt", _graph(own, fastest, fastest))
    for tool, (ending, script, needs) in peers.items():
        if find_spec(needs) is None:
            continue
        target = folder / f"{script}.onnx"
        source = folder / f"m.{ending}"
        asked = [sys.executable, str(_ROOT / "benchmarks" / script), str(source), str(target)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if target.exists():
            yield Told(f"{tool}, .{ending}", _graph(target, _seconds(target), fastest))
        else:
            last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
            yield Told(f"{tool}, .{ending}", f"no file, exit code {done.returncode}: {last[:60]}")


def _graph(path: Path, seconds: float, fastest: float) -> str:
    import onnx

    graphs, operators = [onnx.load(path).graph], []
    while graphs:
        for node in graphs.pop().node:
            operators.append(node.op_type)
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    loops = operators.count("Loop") + operators.count("Scan")
    return (
        f"{operators.count('GRU')} GRU nodes, {loops} loops, {len(operators)} nodes; a run of {_STEPS} steps "
        f"{1e3 * seconds:.2f} ms, {seconds / fastest:.1f} times grubridge's file"
    )


def _seconds(path: Path) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((1, _STEPS, _SETTING.input_size), np.float32)
    feed = {session.get_inputs()[0].name: x}
    taken = []
    for _ in range(60):
        started = time.perf_counter()
        session.run(None, feed)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[10:])


def _checkers(folder: Path, spec: GRUSpec) -> Iterator[Told]:
    """Yield what each checker says of a right twin, two wrong ones, and a file that is not there."""
    right, same, swapped, off, gone = (
        folder / f"{name}.onnx" for name in ("m", "same", "swapped", "off", "gone")
    )
    layer = spec.layers[0]
    direction = layer.forward
    assert direction is not None  # noqa: S101 - by the setting
    assert direction.input_bias is not None  # noqa: S101 - likewise
    grubridge.write(spec, same)
    exchanged = {
        name: replace(gates, update=gates.reset, reset=gates.update)
        for name in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")
        if (gates := getattr(direction, name)) is not None
    }
    wrong = replace(direction, **exchanged)
    grubridge.write(replace(spec, layers=(replace(layer, forward=wrong),)), swapped)
    bias = direction.input_bias.candidate.copy()
    bias[0] += _CHANGE
    changed = replace(direction, input_bias=replace(direction.input_bias, candidate=bias))
    grubridge.write(replace(spec, layers=(replace(layer, forward=changed),)), off)
    for tool in ("grubridge verify", "polygraphy run"):
        if tool.startswith("polygraphy") and find_spec("polygraphy") is None:
            continue
        said = [_checked(tool, folder, right, other) for other in (same, swapped, off, gone)]
        codes = [code for code, _ in said]
        text = said[1][1]
        named = "and the cause" if _NAMED.search(text) else "and no cause"
        yield Told(
            tool,
            f"exit codes: right twin {codes[0]}, gates exchanged {codes[1]}, one bias off by {_CHANGE:g} "
            f"{codes[2]}, missing file {codes[3]}; of the exchange {len(text.splitlines())} lines, {named}",
        )


def _checked(tool: str, folder: Path, a: Path, b: Path) -> tuple[int, str]:
    """Return the exit code of a checker and all that it printed."""
    if tool.startswith("grubridge"):
        return _run([str(Path(sys.executable).with_name("grubridge")), "verify", str(a), str(b)])
    outputs = folder / "outputs.json"
    polygraphy = [str(Path(sys.executable).with_name("polygraphy")), "run"]
    shapes = ["--input-shapes", f"x:[2,{_STEPS},{_SETTING.input_size}]"]
    _run([*polygraphy, str(a), "--onnxrt", *shapes, "--save-outputs", str(outputs)])
    return _run([*polygraphy, str(b), "--onnxrt", *shapes, "--load-outputs", str(outputs)])


def _run(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
