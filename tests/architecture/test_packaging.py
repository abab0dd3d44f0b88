"""A wheel, a source distribution and an editable install each give the library and a working command."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _build(hook: str, source: Path, target: Path) -> Path:
    """Call one of setuptools' build hooks as pip does, but offline; returns the file that it wrote."""
    target.mkdir()
    code = f"from setuptools import build_meta; build_meta.{hook}({str(target)!r})"
    _run(sys.executable, "-c", code, folder=source)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to build from: a build leaves files beside its sources."""
    copy = tmp_path_factory.mktemp("checkout") / "grubridge"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    return copy


@pytest.fixture(scope="module")
def wheels(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What pip would install from the checkout, from its source distribution, and for `--editable`."""
    work = tmp_path_factory.mktemp("wheels")
    unpacked = work / "unpacked"
    unpacked.mkdir()
    sdist = _build("build_sdist", checkout, work / "sdist")
    _run("tar", "-xzf", sdist, "--strip-components=1", folder=unpacked)
    return {
        "wheel": _build("build_wheel", checkout, work / "wheel"),
        "sdist": _build("build_wheel", unpacked, work / "from_sdist"),
        "editable": _build("build_editable", checkout, work / "editable"),
    }


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_holds_every_module_and_nothing_else(kind: str, wheels: dict[str, Path], checkout: Path) -> None:
    library = {path.relative_to(checkout).as_posix() for path in checkout.glob("grubridge/**/*.py")}
    commands = {f"grubridge_{path.relative_to(checkout).as_posix()}" for path in checkout.glob("cli/**/*.py")}
    with zipfile.ZipFile(wheels[kind]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    patterns = ("py.typed", "**/schema.json", "layouts/shipped/*.toml", "report/html/templates/*")
    data = {
        path.relative_to(checkout).as_posix()
        for one in patterns
        for path in checkout.glob(f"grubridge/{one}")
    }
    assert held == library | commands | data
    assert len(data) > len(patterns)


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_installs_the_command(kind: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    _run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheels[kind], folder=tmp_path)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # The dependencies are those of the tests' own environment.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    (top_level,) = site_packages.glob("grubridge-*.dist-info/top_level.txt")
    assert top_level.read_text(encoding="utf-8").split() == ["grubridge", "grubridge_cli"]
    assert "convert" in _run(environment / "bin" / "grubridge", "--help", folder=tmp_path)
