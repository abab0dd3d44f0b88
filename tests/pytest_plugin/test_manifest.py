"""pytest --grubridge: the pairs of a manifest are tests, which fail with the report of the check."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

import grubridge
from tests.pytest_plugin.project import PAIRS, PASSING, Project

pytest_plugins = ["pytester"]

COUNTING = """
import subprocess
popen = subprocess.Popen.__init__
def counted(self, command, *arguments, **settings):
    with open("processes.txt", "a") as log:
        log.write(" ".join(map(str, command)) + "\\n")
    popen(self, command, *arguments, **settings)
subprocess.Popen.__init__ = counted
"""
WITHOUT_ONNX_RUNTIME = """
from grubridge.backends import registry
find_spec = registry.find_spec
registry.find_spec = lambda name: None if name == "onnxruntime" else find_spec(name)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


@pytest.fixture(autouse=True)
def _frameworks(torch: object, onnxruntime: object) -> None:
    """Both are needed by the pairs."""


def test_each_pair_is_a_test(project: Project) -> None:
    project.manifest()
    project.pytester.makeconftest(COUNTING)
    project.pytester.makepyfile(test_own=PASSING)

    result = project.run("--grubridge", "-rA", "--junitxml=junit.xml")

    result.assert_outcomes(passed=2, failed=1, xfailed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "GRUs are not equivalent!",
            "Mismatched elements: * / * (*%)",
            "Greatest absolute difference: * at index (*, *, *) (up to * allowed)",
            "The failure occurred for layer 0 forward, hidden state,",
            "why: gate order: *",
            "PASSED grubridge.toml::good",
            "XFAIL grubridge.toml::known - the exporter of last year",
            "FAILED grubridge.toml::wrong*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    processes = (project.path / "processes.txt").read_text().splitlines()
    assert (
        len([line for line in processes if "grubridge.backends.worker" in line]) == 2
    )  # one of each runtime
    cases = {case.get("name"): case for case in ET.parse(project.path / "junit.xml").iter("testcase")}  # noqa: S314 - pytest's own
    assert cases.keys() == {"test_of_their_own", "good", "wrong", "known"}
    numbers = {one.get("name"): one.get("value") for one in cases["good"].iter("property")}
    assert 0 < float(numbers["grubridge_headroom"] or "nan") < 1
    assert "GRUs are not equivalent!" in (cases["wrong"].find("failure").text or "")  # type: ignore[union-attr]


def test_a_pair_that_passes_unexpectedly_fails(project: Project) -> None:
    project.manifest(
        '[[pair]]\nname = "mended"\nartifacts = ["digits.pt", "digits.onnx"]\nxfail = "once wrong"\n'
    )

    result = project.run("--grubridge")

    result.assert_outcomes(failed=1)
    said = " ".join(result.stdout.str().split())
    assert "it was expected to be different (once wrong) and is not: take xfail out of the manifest" in said


@pytest.mark.parametrize(
    ("selection", "names"),
    [(["-k", "good or known"], ["good", "known"]), (["-m", "grubridge"], ["good", "wrong", "known"])],
)
def test_pairs_are_selected_as_tests_are(project: Project, selection: list[str], names: list[str]) -> None:
    project.manifest()
    project.pytester.makepyfile(test_own=PASSING)

    result = project.run("--grubridge", "--collect-only", "-q", *selection)

    collected = [line for line in result.outlines if "::" in line]
    assert collected == [f"grubridge.toml::{name}" for name in names]


def test_without_the_option_nothing_of_the_manifest_is_collected(project: Project) -> None:
    project.manifest()
    project.pytester.makepyfile(test_own=PASSING)

    project.run().assert_outcomes(passed=1)


def test_the_manifest_of_pyproject_and_one_by_name(project: Project) -> None:
    project.manifest(
        PAIRS.replace("[[pair]]", "[[tool.grubridge.pair]]"), "pyproject.toml", "[tool.grubridge]\n"
    )
    project.manifest('[[pair]]\nname = "only"\nartifacts = ["digits.pt", "digits.onnx"]\n', "nightly.toml")

    found = project.run("--grubridge", "--collect-only", "-q")
    named = project.run("--grubridge=nightly.toml", "--collect-only", "-q")

    assert "pyproject.toml::good" in found.outlines
    assert [line for line in named.outlines if "::" in line] == ["nightly.toml::only"]


def test_a_missing_framework_is_an_error_that_names_the_extra(project: Project) -> None:
    project.manifest()
    project.pytester.makeconftest(WITHOUT_ONNX_RUNTIME)

    result = project.run("--grubridge", "-k", "good")

    result.assert_outcomes(errors=1)
    assert "pip install 'grubridge[onnxruntime]'" in result.stdout.str()


def test_a_missing_file_is_an_error_and_the_other_pairs_go_on(project: Project) -> None:
    project.manifest(PAIRS + '[[pair]]\nname = "lost"\nartifacts = ["digits.pt", "lost.onnx"]\n')

    result = project.run("--grubridge", "-k", "good or lost")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*lost.onnx*", "ERROR grubridge.toml::lost*"])


@pytest.mark.parametrize(
    ("pairs", "arguments", "code", "said"),
    [
        (None, ["--grubridge"], pytest.ExitCode.USAGE_ERROR, r"there is no grubridge\.toml here"),
        (None, ["--grubridge=lost.toml"], pytest.ExitCode.USAGE_ERROR, r"there is no file lost\.toml"),
        (
            PAIRS,
            ["--grubridge", "tests"],
            pytest.ExitCode.USAGE_ERROR,
            r"expected a manifest, a \.toml file; received 'tests'",
        ),
        ("", ["--grubridge"], pytest.ExitCode.INTERRUPTED, r"there is no \[\[pair\]\] in it"),
        (
            '[[pair]]\nartifact = ["a.pt"]\n',
            ["--grubridge"],
            pytest.ExitCode.INTERRUPTED,
            r"grubridge\.toml.*artifact.*Did you mean 'artifacts'",
        ),
        (PAIRS, ["--grubridge", "-k", "nothing"], pytest.ExitCode.NO_TESTS_COLLECTED, "deselected"),
    ],
)
def test_what_collects_nothing_is_an_error(
    project: Project, pairs: str | None, arguments: list[str], code: pytest.ExitCode, said: str
) -> None:
    if pairs is not None:
        project.manifest(pairs)

    result = project.run(*arguments)

    assert result.ret == code
    words = " ".join((result.stdout.str() + result.stderr.str()).split())
    assert re.search(said, words), words


def test_workers_of_xdist_share_the_pairs(project: Project) -> None:
    pytest.importorskip("xdist")
    project.manifest()
    project.pytester.makepyfile(test_own=PASSING)

    result = project.run("--grubridge", "-n", "2", "--import-mode=importlib", "-v")

    result.assert_outcomes(passed=2, failed=1, xfailed=1)
    assert (
        len(re.findall(r"^\[gw\d\].* PASSED grubridge\.toml::good", result.stdout.str(), re.MULTILINE)) == 1
    )
    assert "GRUs are not equivalent!" in result.stdout.str()


def test_the_device_takes_the_place_of_the_manifests(project: Project) -> None:
    project.manifest()

    result = project.run("--grubridge", "--grubridge-device=cuda:77", "-k", "good")

    result.assert_outcomes(errors=1)
    assert "cuda:77" in result.stdout.str()


def test_warnings_of_a_pair_are_in_pytests_summary(project: Project) -> None:
    spec = grubridge.read(project.path / "digits.pt")
    _, _, direction = next(spec.directions())
    assert direction.input_bias is not None
    bias = replace(direction.input_bias, reset=np.full(16, np.nan, np.float32))
    layer = replace(spec.layers[0], forward=replace(direction, input_bias=bias))
    grubridge.write(replace(spec, layers=(layer, spec.layers[1])), project.path / "broken.pt")
    project.manifest('[[pair]]\nname = "diverged"\nartifacts = ["digits.pt", "broken.pt"]\n')

    result = project.run("--grubridge")

    result.assert_outcomes(failed=1, warnings=1)
    result.stdout.fnmatch_lines(["*UserWarning: diverged: *broken.pt*holds NaN or infinity*"])
