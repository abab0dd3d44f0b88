"""What a fresh process has imported: no framework, and as little as possible, before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SUFFIXES = {".h5", ".keras", ".onnx", ".pt", ".safetensors"}
FRAMEWORKS = {"jax", "keras", "onnxruntime", "tensorflow", "tf_keras", "torch"}
FILES = sorted(path for path in [*SAMPLES.glob("*"), *SAMPLES.glob("wrong/*")] if path.suffix in SUFFIXES)
MODULES_AFTER = """
import atexit, json, os, sys
tell = lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr, flush=True)
atexit.register(tell)
leave = os._exit  # how a command ends, without what is registered above
os._exit = lambda code: (tell(), leave(code))
"""


def _modules_after(code: str, *arguments: str, exit_code: int = 0) -> set[str]:
    command = [sys.executable, "-c", MODULES_AFTER + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == exit_code, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def _modules_after_command(*arguments: str) -> set[str]:
    return _modules_after("from grubridge_cli.main import main; main()", *arguments)


def test_import_brings_numpy_at_most() -> None:
    before = _modules_after("import numpy")
    brought = {name.split(".")[0] for name in _modules_after("import grubridge") - before}

    assert brought - set(sys.stdlib_module_names) == {"grubridge"}


@pytest.mark.parametrize("command", ["", "backends", "convert", "formats", "inspect", "trace", "verify"])
def test_help_imports_no_framework(command: str) -> None:
    assert FRAMEWORKS.isdisjoint(_modules_after_command(*command.split(), "--help"))


@pytest.mark.parametrize("sample", FILES, ids=lambda path: path.name)
def test_inspect_and_convert_import_no_framework(sample: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.onnx"

    assert FRAMEWORKS.isdisjoint(_modules_after_command("inspect", str(sample)))
    assert FRAMEWORKS.isdisjoint(_modules_after_command("convert", str(sample), str(target)))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_writing_imports_no_framework(suffix: str, tmp_path: Path) -> None:
    source, target = SAMPLES / "digits_two_layer.pt", tmp_path / f"target{suffix}"

    assert FRAMEWORKS.isdisjoint(_modules_after_command("convert", str(source), str(target)))
