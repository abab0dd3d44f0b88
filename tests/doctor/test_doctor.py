"""`grubridge doctor` in installations that are broken in known ways: fake packages hide the real ones."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended, grubridge

NEEDED = ("h5py", "ml_dtypes", "numpy", "onnx", "protobuf", "safetensors", "typer")


class Installation:
    """A folder that Python searches before all others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fakes"
        self.home = folder / "home"
        self.folder.mkdir()
        self.home.mkdir()

    def package(self, name: str, code: str) -> None:
        """Add a package whose import runs `code`."""
        (self.folder / name).mkdir()
        (self.folder / name / "__init__.py").write_text(code, encoding="utf-8")

    def metadata(self, name: str, installed: str, *lines: str) -> None:
        """Add what pip leaves behind of a distribution."""
        folder = self.folder / f"{name.replace('-', '_')}-{installed}.dist-info"
        folder.mkdir()
        text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {installed}", *lines])
        (folder / "METADATA").write_text(text + "\n", encoding="utf-8")

    def doctor(self, *arguments: str, **environment: str) -> Ended:
        """Run the command."""
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        environment |= {"PYTHONPATH": path, "HOME": str(self.home)}
        return grubridge("doctor", *arguments, cwd=None, **environment)

    def told(self, *arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
        """Run the command with --json, and return what it printed."""
        ended = self.doctor("--json", *arguments, **environment)

        assert ended.code == code, ended.stderr
        assert ended.stderr == ""
        told: dict[str, Any] = json.loads(ended.stdout)
        return told


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_versions_are_those_of_the_metadata(installation: Installation) -> None:
    told = installation.told("--no-devices")
    packages = {package["name"]: package for package in told["packages"]}

    assert told["schema_version"] == 1
    assert told["grubridge"] == version("grubridge")
    assert told["machine"]["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert 1 <= told["machine"]["processors"] <= (os.cpu_count() or 1)
    assert {name: packages[name]["version"] for name in NEEDED} == {name: version(name) for name in NEEDED}
    assert {name for name, package in packages.items() if not package["extra"]} - {"tomli"} == set(NEEDED)
    assert packages["torch"]["extra"] == "torch"
    assert packages["typer"]["wanted"] == ">=0.16,<0.29"
    assert not {"pytest", "atheris"} & packages.keys()  # what only developers need
    assert ("tomli" in packages) == (sys.version_info < (3, 11))
    assert told["runtimes"] is None
    assert told["problems"] == []


def test_text_names_every_package_and_what_is_missing(installation: Installation) -> None:
    installation.metadata(
        "grubridge", "0.1.0", "Requires-Dist: numpy>=2", 'Requires-Dist: no-such>=3,<5; extra == "more"'
    )
    ended = installation.doctor("--no-devices")

    assert ended.code == 0
    lines = [line.split("  ") for line in ended.stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell] for line in lines]
    assert ["numpy", version("numpy"), ">=2", "-"] in rows
    assert ["no-such", "not installed", ">=3,<5", "more"] in rows
    assert ended.stdout.endswith("runtimes: not started\n\nnothing that is installed is broken\n")


def test_a_missing_package_and_an_old_one_are_problems(installation: Installation) -> None:
    installation.metadata("h5py", "2.10.0")
    installation.metadata("typer", "0.29.0rc1")
    installation.metadata(
        "grubridge",
        "0.1.0",
        "Requires-Dist: h5py>=3.11",
        "Requires-Dist: no-such>=3",
        "Requires-Dist: typer<0.29,>=0.16",
        'Requires-Dist: of-the-future>=1; python_version >= "3.99"',
        'Requires-Dist: of-the-past>=1; python_version < "3.9"',
        'Requires-Dist: absent>=1; extra == "more"',
    )

    assert installation.told("--no-devices", code=3)["problems"] == [
        {
            "what": "h5py",
            "words": "version 2.10.0 is installed; grubridge works with >=3.11",
            "remedy": "pip install 'h5py>=3.11'",
        },
        {"what": "no-such", "words": "it is not installed", "remedy": "pip install 'no-such>=3'"},
        {
            "what": "typer",
            "words": "version 0.29.0rc1 is installed; grubridge works with >=0.16,<0.29",
            "remedy": "pip install 'typer>=0.16,<0.29'",
        },
    ]


def test_runtimes_that_do_not_start_say_their_last_words(installation: Installation) -> None:
    lost = installation.home / "lib" / "libcudnn.so.9"
    installation.package("torch", f"raise ImportError('{lost}: cannot open shared object file')")
    installation.package("keras", "")
    installation.package("tensorflow", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    installation.package("onnxruntime", "raise OSError('no kernel image')")
    installation.metadata("grubridge", "0.1.0", "Requires-Dist: numpy>=2")
    told = installation.told(code=3, KERAS_BACKEND="tensorflow")
    problems = {problem["what"]: problem for problem in told["problems"]}

    assert {row["name"] for row in told["runtimes"] if not row["devices"]} == set(problems)
    assert problems["pytorch"]["words"] == (
        "pytorch cannot be imported: ImportError: ~/lib/libcudnn.so.9: cannot open shared object file"
    )
    assert problems["pytorch"]["remedy"] == "pip install --force-reinstall 'grubridge[torch]'"
    assert "was killed by SIGSEGV" in problems["keras"]["words"]
    assert "OSError: no kernel image" in problems["onnxruntime"]["words"]


def test_a_broken_package_that_no_runtime_starts_is_found(installation: Installation) -> None:
    for name in ("torch", "keras", "tensorflow", "onnxruntime"):
        installation.package(name, "raise ImportError('left out of this test')")
    installation.package("broken_one", "raise RuntimeError('built for another Python\\nsee its manual')")
    installation.metadata("broken-one", "1.5")
    installation.metadata("grubridge", "0.1.0", 'Requires-Dist: broken-one>=1; extra == "more"')
    ended = installation.doctor()

    assert ended.code == 3
    assert (
        "- broken-one: it cannot be imported: RuntimeError: built for another Python\n"
        "  see its manual\n"
        "  pip install --force-reinstall 'broken-one>=1'\n"
    ) in ended.stdout


def test_works_although_numpy_is_broken(installation: Installation) -> None:
    installation.package("numpy", "raise ImportError('numpy.core.multiarray failed to import')")
    installation.metadata("grubridge", "0.1.0", "Requires-Dist: numpy>=2")
    told = installation.told(code=3)

    assert told["runtimes"] is None
    assert [problem["what"] for problem in told["problems"]] == ["numpy"]
    assert "ImportError: numpy.core.multiarray failed to import" in told["problems"][0]["words"]


def test_the_cache_is_counted_and_its_place_is_told_without_the_home_folder(
    installation: Installation,
) -> None:
    folder = installation.home / "kept"
    folder.mkdir()
    (folder / "one.json").write_bytes(b"1" * 700)
    (folder / "two.json").write_bytes(b"2" * 400)
    (folder / "other.txt").write_bytes(b"no measurement")
    told = installation.told("--no-devices", GRUBRIDGE_CACHE=str(folder))

    assert told["cache"] == {"folder": "~/kept", "files": 2, "size": 1100, "writable": True}
    assert str(installation.home) not in json.dumps(told)
    assert installation.told("--no-devices", GRUBRIDGE_CACHE="off")["cache"] is None
    text = installation.doctor("--no-devices", GRUBRIDGE_CACHE=str(folder)).stdout
    assert "cache: ~/kept, 2 measurements, 1.1 KiB\n" in text


def test_nothing_is_written(installation: Installation) -> None:
    folder = installation.home / "not there" / "cache"
    cache = installation.told("--no-devices", GRUBRIDGE_CACHE=str(folder))["cache"]

    assert cache == {"folder": "~/not there/cache", "files": 0, "size": 0, "writable": True}
    assert list(installation.home.iterdir()) == []


def test_variables_that_change_a_run_are_told(installation: Installation) -> None:
    told = installation.told("--no-devices", KERAS_BACKEND="jax", XLA_FLAGS="--xla_dump_to=/x")

    assert told["machine"]["variables"]["KERAS_BACKEND"] == "jax"
    assert told["machine"]["variables"]["XLA_FLAGS"] == "--xla_dump_to=/x"
