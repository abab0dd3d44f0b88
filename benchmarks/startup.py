"""Small conversions and --help as cold processes, against peers and against bare imports."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import compare
from benchmarks.table import Row

__all__ = ["rows"]

_ROOT = Path(__file__).resolve().parents[1]
_SAMPLES = _ROOT / "samples"
_RUNS = 7


def rows() -> Iterator[Row]:
    """Yield one row per comparison."""
    grubridge = str(Path(sys.executable).with_name("grubridge"))
    python = sys.executable
    keras, pytorch = str(_SAMPLES / "digits_bidirectional.keras"), str(_SAMPLES / "digits_two_layer.pt")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.onnx")

        def clean() -> None:
            target.unlink(missing_ok=True)

        def peer(name: str, source: str) -> list[str]:
            return [python, str(_ROOT / "benchmarks" / name), source, str(target)]

        imports = [python, "-c", "import numpy, h5py, onnx"]
        comparisons = (
            ("convert .keras .onnx", "tf2onnx", keras, peer("peer_tf2onnx.py", keras), 1 / 8, 3),
            (
                "convert .pt .onnx",
                "torch.onnx.export",
                pytorch,
                peer("peer_torch_export.py", pytorch),
                1 / 4,
                3,
            ),
            ("convert .keras .onnx", "import numpy, h5py, onnx", keras, imports, 2.5, _RUNS),
            ("convert .pt .onnx", "import numpy, h5py, onnx", pytorch, imports, 2.5, _RUNS),
        )
        for what, against, source, baseline, limit, runs in comparisons:
            found = compare([grubridge, "convert", source, str(target)], baseline, runs, clean)
            yield Row(what, against, found, limit)
    found = compare([grubridge, "--help"], [python, "-c", "import typer, rich"], _RUNS)
    yield Row("--help", "import typer, rich", found, 1.5)
