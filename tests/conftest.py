"""Fixtures: frameworks and other people's model files, which may be missing, and stand-ins for frameworks.

A missing one skips the test by name. GRUBRIDGE_REQUIRE=torch,keras,... turns that skip into a failure.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.simulated import Runtimes

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = ("torch", "tensorflow", "keras", "tf_keras", "onnxruntime")

# Read when a framework is first imported, so they are set before any test runs.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"
# What is measured here is kept for this run of the tests, and not among the user's own.
_cache = tempfile.TemporaryDirectory(prefix="grubridge-tests-")
os.environ["GRUBRIDGE_CACHE"] = _cache.name


def _required() -> set[str]:
    required = set(filter(None, os.environ.get("GRUBRIDGE_REQUIRE", "").split(",")))
    if unknown := required.difference(FRAMEWORKS):
        message = f"GRUBRIDGE_REQUIRE names {sorted(unknown)}; expected some of {', '.join(FRAMEWORKS)}"
        raise pytest.UsageError(message)
    return required


def pytest_configure() -> None:
    """Refuse a misspelt GRUBRIDGE_REQUIRE before any test runs."""
    _required()


def pytest_report_header() -> str:
    """Name the missing frameworks above the tests."""
    missing = [name for name in FRAMEWORKS if importlib.util.find_spec(name) is None]
    return f"frameworks missing: {', '.join(missing) or 'none'}"


def _framework(name: str) -> Callable[[], ModuleType]:
    @pytest.fixture(scope="session", name=name)
    def fixture() -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in {name, "tensorflow"}:  # a broken installation is not a missing one
                raise
            missing = f"{error.name} is not installed"
        if name in _required():
            pytest.fail(f"{missing}, and GRUBRIDGE_REQUIRE asks for {name}")
        pytest.skip(missing)

    return fixture


torch = _framework("torch")
tensorflow = _framework("tensorflow")
keras = _framework("keras")  # Keras 3, on its TensorFlow backend
tf_keras = _framework("tf_keras")  # Keras 2
onnxruntime = _framework("onnxruntime")


def _folder(name: str) -> Callable[[], Path]:
    variable = f"GRUBRIDGE_{name.upper()}"

    @pytest.fixture(scope="session", name=name)
    def fixture() -> Path:
        folder = Path(os.environ.get(variable, ROOT.parent / "shared" / name))
        if not folder.is_dir():
            pytest.skip(f"no folder of {name} files beside the project ({variable} names another place)")
        return folder

    return fixture


real = _folder("real")  # model files that other projects published
hostile = _folder("hostile")  # the generator of broken and malicious files


@pytest.fixture
def runtimes(monkeypatch: pytest.MonkeyPatch) -> Runtimes:
    """Stand-ins in the place of the frameworks, in every check of the test."""
    from grubridge.checker import carry_out
    from tests.simulated import Runtimes

    made = Runtimes()
    monkeypatch.setattr(carry_out, "run_jobs", made.run_jobs)
    return made
