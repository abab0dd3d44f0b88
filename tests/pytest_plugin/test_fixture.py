"""The fixture and the mark, and what having the plugin installed costs."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.project import Project

pytest_plugins = ["pytester"]

USING = """
import pytest

def test_twins(grubridge):
    report = grubridge.assert_equivalent("digits.pt", "digits.onnx")
    assert report.verdict.name == "EQUIVALENT"

def test_wrong(grubridge):
    grubridge.assert_equivalent("digits.pt", "wrong.onnx")

def test_verify_and_trace(grubridge):
    assert grubridge.verify("digits.pt", "wrong.onnx").verdict.name == "DIFFERENT"
    traced = grubridge.trace("digits.pt", backend="reference")
    assert traced[0, "forward"].gates.update.shape == (4, 24, 16)

@pytest.mark.grubridge
def test_marked():
    pass

def test_other():
    pass
"""
HEAVY = """
import sys
def test_what_is_imported():
    heavy = {"numpy", "onnx", "h5py", "torch", "keras", "tensorflow", "onnxruntime"}
    assert not heavy & sys.modules.keys()
    ours = {name for name in sys.modules if name.partition(".")[0] == "grubridge"}
    assert ours == {"grubridge", "grubridge.pytest_plugin"}
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


def test_having_it_installed_imports_nothing_heavy(project: Project) -> None:
    project.pytester.makepyfile(test_imports=HEAVY)

    project.run().assert_outcomes(passed=1)


def test_the_fixture(project: Project, torch: object, onnxruntime: object) -> None:
    del torch, onnxruntime
    project.pytester.makeini("[pytest]\n")
    tests = project.pytester.mkdir("unit")
    (tests / "test_using.py").write_text(USING)

    result = project.run("--strict-markers", "-m", "grubridge", "unit")

    result.assert_outcomes(passed=3, failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            '>   *grubridge.assert_equivalent("digits.pt", "wrong.onnx")',
            "E  *AssertionError: GRUs are not equivalent!",
            "E  *Mismatched elements: *",
            "E  *why: gate order: *",
        ]
    )
    result.stdout.no_fnmatch_line(
        "*raise AssertionError*"
    )  # the line of the test is shown, and none of grubridge


def test_the_device_of_the_command_line(project: Project, torch: object, onnxruntime: object) -> None:
    del torch, onnxruntime
    project.pytester.makepyfile(
        """
        import pytest
        def test_device(grubridge):
            with pytest.raises(Exception, match="cuda:77"):
                grubridge.verify("digits.pt", "digits.onnx")
            assert grubridge.verify("digits.pt", device="cpu", backends=["pytorch"]).runs[1].device == "cpu"
        """
    )

    project.run("--grubridge-device=cuda:77").assert_outcomes(passed=1)


def test_the_mark_and_the_options_are_documented(project: Project) -> None:
    assert "@pytest.mark.grubridge: " in project.run("--markers").stdout.str()
    described = project.run("--help").stdout.str()
    assert "--grubridge=[MANIFEST.toml]" in described or "--grubridge [MANIFEST.toml]" in described
    assert "--grubridge-device=DEVICE" in described or "--grubridge-device DEVICE" in described


def test_the_fixture_is_documented(project: Project) -> None:
    assert "assert_equivalent, verify and trace of grubridge" in project.run("--fixtures", "-v").stdout.str()
