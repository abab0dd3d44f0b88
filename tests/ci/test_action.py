"""The GitHub Action: its file is well-formed, and its shell parts do what they say, whatever the inputs are.

There is no runner here: expressions are filled in and scripts are run as its documentation says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.ci.repository import ROOT, Recorder, parsed, repository, run_shell
from tests.cli.command import Ended

EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
HOSTILE = [
    '"; touch owned; "',
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    "x\ntouch owned\n",
    "&& touch owned",
    "| touch owned #",
    "${{ github.token }}",
    "END\ntouch owned",
]


@dataclass
class Runner:
    """Runs the action's shell steps in a folder, as GitHub's runner does.

    Args:
        workspace: the folder.
        path: the PATH; "" for that of the tests.
    """

    workspace: Path
    path: str = ""

    def step(self, name: str, **inputs: str) -> Ended:
        """Run the step of this name."""
        action = parsed("action.yml")
        given = {key: value.get("default", "") for key, value in action["inputs"].items()}
        assert inputs.keys() <= given.keys()
        given |= inputs
        (step,) = (one for one in action["runs"]["steps"] if one.get("name") == name)
        environment = {key: _filled(value, given) for key, value in step["env"].items()}
        environment |= {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            **({"PATH": self.path} if self.path else {}),
        }
        self.output.touch()
        self.summary.touch()
        return run_shell(step["run"], self.workspace, environment, step["shell"])

    @property
    def output(self) -> Path:
        """Where a step's outputs go."""
        return self.workspace.parent / "output"

    @property
    def summary(self) -> Path:
        """Where the job's summary goes."""
        return self.workspace.parent / "summary.md"


def _filled(template: str, inputs: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda found: inputs[found[1].removeprefix("inputs.")], template)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path, "python", "grubridge")


@pytest.fixture
def stubbed(tmp_path: Path, recorder: Recorder) -> Runner:
    """A runner whose python and grubridge only note their arguments."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Runner(workspace, recorder.path)


def _nothing_ran(tmp_path: Path) -> bool:
    return not list(tmp_path.rglob("owned*"))


def test_the_file_is_a_composite_action_with_described_inputs() -> None:
    action = parsed("action.yml")

    assert action["runs"]["using"] == "composite"
    assert all(one["description"] and isinstance(one["default"], str) for one in action["inputs"].values())
    for step in action["runs"]["steps"]:
        assert ("run" in step) == ("shell" in step)
        assert ("run" in step) != ("uses" in step)
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def test_no_value_is_pasted_into_a_script() -> None:
    action = parsed("action.yml")
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    used = set(EXPRESSION.findall(json.dumps(action)))

    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)
    assert used == {f"inputs.{name}" for name in action["inputs"]} | {"steps.check.outputs.exit-code"}


@pytest.mark.parametrize(
    ("extras", "installed"),
    [("all", "[report,all]"), ("torch,onnxruntime", "[report,torch,onnxruntime]"), ("", "[report]")],
)
def test_installs_this_very_version_with_the_runtimes_asked_for(
    extras: str, installed: str, stubbed: Runner, recorder: Recorder
) -> None:
    ended = stubbed.step("Install grubridge", extras=extras)

    assert ended.code == 0, ended.stderr
    (call,) = recorder.calls
    assert call[:3] == ["-m", "pip", "install"]
    assert call[-1] == f"{ROOT}{installed}"


@pytest.mark.parametrize("value", [*HOSTILE, "torch] @ https://example.org/x.whl #", "-r x"])
def test_odd_extras_are_refused(value: str, stubbed: Runner, recorder: Recorder, tmp_path: Path) -> None:
    ended = stubbed.step("Install grubridge", extras=value)

    assert ended.code == 2
    assert "::error::extras are names with commas between" in ended.stdout
    assert recorder.calls == []
    assert _nothing_ran(tmp_path)


@pytest.mark.parametrize("value", [*HOSTILE, "--help", "-", "*"])
def test_manifest_and_reports_arrive_as_they_are(
    value: str, stubbed: Runner, recorder: Recorder, tmp_path: Path
) -> None:
    ended = stubbed.step("Check", manifest=value, reports=f"reports {value}".replace("/", "_"))

    assert ended.code == 0, ended.stderr
    (call,) = recorder.calls
    assert call[-2:] == ["--", value]
    assert f"junit=reports {value}/grubridge.xml" in call
    assert _nothing_ran(tmp_path)


@pytest.mark.parametrize("value", [*HOSTILE, "-k * -j 4"])
def test_arguments_are_split_at_spaces_and_nothing_else_happens(
    value: str, stubbed: Runner, recorder: Recorder, tmp_path: Path
) -> None:
    ended = stubbed.step("Check", args=value)

    assert ended.code == 0, ended.stderr
    (call,) = recorder.calls
    words = value.split()
    assert call[-len(words) - 1 :] == [*words, "--"]
    assert _nothing_ran(tmp_path)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 70])
def test_exit_code_is_that_of_the_check(code: int, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    runner = Runner(workspace, Recorder(tmp_path, "grubridge", code=code).path)

    assert runner.step("Check").code == code
    assert runner.output.read_text(encoding="utf-8") == f"exit-code={code}\n"


def test_a_right_repository_passes_without_any_framework(tmp_path: Path) -> None:
    runner = Runner(repository(tmp_path))
    ended = runner.step("Check", args="--weights-only")

    assert ended.code == 0, ended.stdout + ended.stderr
    assert _junit(runner) == {"digits": None}
    assert "### grubridge" in runner.summary.read_text(encoding="utf-8")
    assert "::error" not in ended.stdout


def test_a_wrong_pair_fails_where_people_look(torch: ModuleType, keras: ModuleType, tmp_path: Path) -> None:
    del torch, keras
    workspace = repository(tmp_path, wrong=True)
    (workspace / "grubridge.toml").rename(workspace / "models.toml")
    runner = Runner(workspace)
    ended = runner.step("Check", manifest="models.toml", args="-k ported", reports="out")

    assert ended.code == 1, ended.stdout + ended.stderr
    assert runner.output.read_text(encoding="utf-8") == "exit-code=1\n"
    assert "update and reset gates are exchanged" in ended.stdout
    annotations = [line for line in ended.stdout.splitlines() if line.startswith("::error ")]
    assert len(annotations) == 1
    assert "file=models/ported.keras" in annotations[0]
    assert "ported by hand" in runner.summary.read_text(encoding="utf-8")
    assert _junit(runner, "out") == {"ported by hand": "failure"}
    assert (workspace / "out" / "grubridge.html").stat().st_size > 1000


def _junit(runner: Runner, folder: str = "grubridge-reports") -> dict[str, str | None]:
    """The cases of the JUnit file, and the tag of what each says; the JSON file names the same pairs."""
    reports = runner.workspace / folder
    told: dict[str, Any] = json.loads((reports / "grubridge.json").read_text(encoding="utf-8"))
    root = ET.parse(reports / "grubridge.xml").getroot()  # noqa: S314 - the file is our own
    cases = {str(case.get("name")): case for case in root.iter("testcase")}

    assert {pair["name"] for pair in told["pairs"]} == cases.keys()
    tags = {name: [one.tag for one in case] for name, case in cases.items()}
    return {
        name: next((t for t in found if t in {"failure", "error", "skipped"}), None)
        for name, found in tags.items()
    }
