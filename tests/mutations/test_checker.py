"""The checker, broken on purpose in one way after the other: each time, some test must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

COMPARE = "tests/checker/test_compare.py"
ROUNDING = "tests/reference/test_rounding.py"
TIGHTNESS = "tests/reference/test_tightness.py"
VERDICT = "tests/checker/test_verdict.py"
FOREIGN_GATES = "tests/checker/test_foreign_gates.py"
SENSITIVITY = "tests/checker/test_sensitivity.py::test_changed_weight_is_named_far_below_the_bound_of_a_step"
ALGEBRA = "tests/checker/test_algebra.py"
ACTIVATIONS = "tests/checker/test_activation_errors.py"


@dataclass(frozen=True)
class Mutant:
    """One way to break the checker.

    Args:
        name: in a few words.
        file: below grubridge/.
        text: what stands there, once.
        instead: what stands there in the mutant.
        tests: the tests of which one must notice.
    """

    name: str
    file: str
    text: str
    instead: str
    tests: str = COMPARE


MUTANTS = (
    Mutant(
        "the bound lacks the rounding of sums",
        "reference/rounded.py",
        "how.accumulator**2 * (sums + squares)",
        "0 * squares",
        ROUNDING,
    ),
    Mutant(
        "the bound lacks the error of the update gate",
        "reference/rounded.py",
        "gap**2 * z.variance + take**2 * n.variance",
        "take**2 * n.variance",
        ROUNDING,
    ),
    Mutant(
        "the random part of the bound is doubled",
        "reference/rounded.py",
        "self.deviations * np.sqrt(a.variance)",
        "2 * self.deviations * np.sqrt(a.variance)",
        TIGHTNESS,
    ),
    Mutant(
        "the fixed part of the bound is doubled",
        "reference/rounded.py",
        "np.sqrt(a.variance) + a.fixed",
        "np.sqrt(a.variance) + 2 * a.fixed",
        ROUNDING,
    ),
    Mutant(
        "only the last step is compared",
        "checker/judge.py",
        "valid = valid_steps(batch, steps, seen.lengths)\n",
        "valid = valid_steps(batch, steps, seen.lengths)\n    valid[:, :-1] = False\n",
    ),
    Mutant(
        "the backward direction is not compared",
        "checker/compare.py",
        "for index, name, direction in spec.directions():\n",
        "for index, name, direction in spec.directions():\n        if name == 'backward': continue\n",
    ),
    Mutant(
        "the first layer is not compared",
        "checker/compare.py",
        "for index, name, direction in spec.directions():\n",
        "for index, name, direction in spec.directions():\n        if index == 0: continue\n",
    ),
    Mutant(
        "the gates are not compared",
        "checker/compare.py",
        'received: dict[Quantity, Array] = {"hidden": seen.hidden}\n        received.update(',
        'received: dict[Quantity, Array] = {"hidden": seen.hidden}\n        dict().update(',
    ),
    Mutant(
        "NaN is skipped",
        "checker/judge.py",
        "error[np.isnan(error)] = np.inf",
        "error[np.isnan(error)] = 0",
    ),
    Mutant(
        "a step is judged from the state after it",
        "checker/judge.py",
        "previous_state(seen.direction, hidden, seen.start, seen.lengths)[valid]",
        "hidden[valid]",
    ),
    Mutant(
        "a backward direction is judged as a forward one",
        "checker/judge.py",
        "previous_state(seen.direction,",
        'previous_state("forward",',
    ),
    Mutant(
        "steps past a sequence's end are judged",
        "checker/judge.py",
        "valid = valid_steps(batch, steps, seen.lengths)",
        "valid = valid_steps(batch, steps, None)",
    ),
    Mutant(
        "what a runtime says of its inputs is believed",
        "reference/inputs.py",
        "return probe.x\n",
        "return next(iter(trace.places.values())).x\n",
    ),
    Mutant(
        "sums in natural order are not tried before a run is called wrong",
        "checker/judge.py",
        "if suspect.any():",
        "if False:",
    ),
    Mutant(
        "INCONCLUSIVE beside EQUIVALENT counts as EQUIVALENT",
        "checker/verdict.py",
        "if found == {Verdict.EQUIVALENT}",
        "if Verdict.EQUIVALENT in found",
        VERDICT,
    ),
    Mutant(
        "nothing compared is a pass",
        "checker/verdict.py",
        "if found == {Verdict.EQUIVALENT}",
        "if found <= {Verdict.EQUIVALENT}",
        VERDICT,
    ),
    Mutant(
        "a place that was not returned is left out",
        "checker/compare.py",
        'found.append(Comparison(edge, *sides, *place, "hidden", Verdict.INCONCLUSIVE, reason=reason))',
        "pass",
    ),
    Mutant(
        "gates of another run are believed",
        "checker/compare.py",
        "elif foreign and hidden.verdict is Verdict.EQUIVALENT",
        "elif False and hidden.verdict is Verdict.EQUIVALENT",
        FOREIGN_GATES,
    ),
    Mutant(
        "a single changed weight is seen and not said",
        "checker/sensitivity.py",
        "if score > 1:",
        "if score > 1e9:",
        SENSITIVITY,
    ),
    Mutant(
        "recurrent weights are no part of a proof",
        "checker/algebra/tensors.py",
        'yield Pair(f"recurrent_weight.{gate}", *units, rows, "units")',
        "pass",
        ALGEBRA,
    ),
    Mutant(
        "settings are no part of a proof",
        "checker/algebra/proof.py",
        "for setting, here, there in _settings(one, other):",
        "for setting, here, there in ():",
        ALGEBRA,
    ),
    Mutant(
        "another function is allowed for as a bad sigmoid",
        "checker/calibration/activation_errors.py",
        "_LARGEST_ERROR, _LARGEST_ERROR_HALF = 20.0, 5.0",
        "_LARGEST_ERROR, _LARGEST_ERROR_HALF = 1e9, 1e9",
        ACTIVATIONS,
    ),
)


def copied(folder: Path) -> Path:
    """A copy of the package beside the tests."""
    shutil.copytree(ROOT / "grubridge", folder / "grubridge")
    (folder / "tests").symlink_to(ROOT / "tests", target_is_directory=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run tests on the copy; without those that need a framework and plug-ins that take long to load."""
    plugins = "cacheprovider", "hypothesispytest", "xdist"
    options = ["-x", "-q", "-k", "not pytorch", *(f"-pno:{name}" for name in plugins)]
    command = [sys.executable, "-m", "pytest", *options, *files]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_copy_is_what_is_tested_and_passes(tmp_path: Path) -> None:
    done = run_tests(copied(tmp_path), *dict.fromkeys(mutant.tests for mutant in MUTANTS))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    path = copied(tmp_path) / "grubridge" / mutant.file
    source = path.read_text(encoding="utf-8")
    assert source.count(mutant.text) == 1, f"{mutant.file} has changed: write the mutant anew"
    path.write_text(source.replace(mutant.text, mutant.instead), encoding="utf-8")

    done = run_tests(tmp_path, mutant.tests)

    assert done.returncode == 1, done.stdout  # 2 would say that the mutant cannot be imported
