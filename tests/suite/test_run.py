"""Suites, run: every pair has its result, whatever becomes of the others, in as few processes as can be."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.conversion import read, write
from grubridge.errors import ManifestError
from grubridge.suite.manifest import Pair
from grubridge.suite.result import PairResult
from grubridge.suite.run import check
from tests.suite.repository import Repository

GOOD = 'a = "good.pt"\nb = "good.onnx"'
WRONG = 'a = "good.pt"\nb = "wrong.onnx"'


def _statuses(results: tuple[PairResult, ...]) -> dict[str, str]:
    return {result.name: result.status for result in results}


def test_every_kind_of_result_worst_first(repository: Repository) -> None:
    repository.model("good.pt", "good.onnx", "fail.onnx", "crash.pt")
    repository.model("wrong.onnx", mistake="update and reset exchanged")
    repository.model("half.onnx", dtype="float16")
    repository.manifest(
        GOOD,
        f'{WRONG}\nxfail = "ported by hand"',
        f'name = "wrong"\n{WRONG}',
        'a = "good.pt"\nb = "missing.onnx"',
        f'name = "better than expected"\n{GOOD}\nxfail = "never"',
        'a = "good.pt"\nb = "half.onnx"\ntolerance = { atol = 1e-2 }',
        'a = "good.pt"\nb = "fail.onnx"',
        'a = "crash.pt"\nb = "good.onnx"',
        f'name = "half of it"\n{GOOD}\nbackends = ["pytorch"]',
    )
    report = repository.check()

    assert [(result.name, result.status) for result in report.results][3:] == [
        ("wrong", "different"),
        ("better than expected", "xpassed"),
        ("half of it", "inconclusive"),
        ("good.pt, wrong.onnx", "xfailed"),
        *[(result.name, "equivalent") for result in report.results[-2:]],
    ]
    trouble = {result.name: str(result.trouble) for result in report.results[:3]}
    assert {result.status for result in report.results[:3]} == {"trouble"}
    assert trouble["good.pt, missing.onnx"] == f"{repository.folder}/missing.onnx: there is no such file"
    assert "stand-in" not in trouble["good.pt, fail.onnx"]
    assert (
        "onnxruntime failed on it. Its own words:\n  RuntimeError: no such tensor"
        in trouble["good.pt, fail.onnx"]
    )
    assert "its process was killed by SIGABRT" in trouble["crash.pt, good.onnx"]
    assert trouble["crash.pt, good.onnx"].endswith("Its last words:\n  the last words")
    by_name = {result.name: result for result in report.results}
    assert by_name["wrong"].cause == (
        "gate order: in every layer and direction the update and reset gates are exchanged"
    )
    assert (by_name["wrong"].headroom or 0) > 1000
    assert by_name["good.pt, wrong.onnx"].reason == "ported by hand"
    assert by_name["good.{pt,onnx}"].line == 3
    assert 0 < (by_name["good.pt, half.onnx"].headroom or 0) < 1  # of the tolerance
    assert report.counts == {
        "equivalent": 2,
        "different": 1,
        "inconclusive": 1,
        "trouble": 3,
        "xfailed": 1,
        "xpassed": 1,
    }
    assert report.outcome == "trouble"
    assert report.environment["pytorch"] == "stand-in 1.0"


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        ([GOOD], "passed"),
        ([GOOD, WRONG], "different"),
        ([GOOD, f'{WRONG}\nxfail = "so"'], "passed"),
        ([f'{GOOD}\nxfail = "so"'], "different"),
        ([GOOD, f'name = "half"\n{GOOD}\nbackends = ["pytorch"]'], "inconclusive"),
        ([f'{WRONG}\nxfail = "so"\nbackends = ["pytorch"]'], "inconclusive"),
        ([], "trouble"),
    ],
)
def test_outcomes(repository: Repository, pairs: list[str], outcome: str) -> None:
    repository.model("good.pt", "good.onnx")
    repository.model("wrong.onnx", mistake="gates rotated")
    repository.manifest(*pairs)
    report = repository.check()

    assert report.outcome == outcome
    with pytest.raises(TypeError, match="a report has no truth value"):
        bool(report)


def test_one_process_of_each_runtime_serves_all_pairs(repository: Repository) -> None:
    names = [f"m{number}" for number in range(8)]
    for seed, name in enumerate(names):
        repository.model(f"{name}.pt", f"{name}.onnx", seed=seed)
    repository.manifest(*(f'a = "{name}.pt"\nb = "{name}.onnx"' for name in names))

    for jobs in (1, 3):
        report = repository.check(jobs=jobs, use_lock=False)
        assert report.counts["equivalent"] == len(names)
        ran = repository.ran()
        assert len(ran) == 2 * 2 * len(names)  # the inputs and the designed steps of each file
        processes = {
            ending: {one for one, name in ran if name.endswith(ending)} for ending in (".pt", ".onnx")
        }
        assert all(len(found) <= jobs for found in processes.values())
        assert processes[".pt"].isdisjoint(processes[".onnx"])
        if jobs == 1:
            assert [len(found) for found in processes.values()] == [1, 1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_crashes_and_hangs_stop_no_other_pair(repository: Repository, jobs: int) -> None:
    repository.model("good.pt", "good.onnx", "crash.pt", "hang.onnx", "last.onnx")
    repository.manifest(
        'a = "good.pt"\nb = "hang.onnx"\ntimeout = 1.5',
        'a = "crash.pt"\nb = "good.onnx"',
        GOOD,
        'a = "good.pt"\nb = "last.onnx"',
        top="[defaults]\ntimeout = 50",
    )
    seen: list[tuple[str, int, int]] = []
    started = time.monotonic()
    report = repository.check(
        jobs=jobs, progress=lambda result, done, total: seen.append((result.name, done, total))
    )

    assert _statuses(report.results) == {
        "good.pt, hang.onnx": "trouble",
        "crash.pt, good.onnx": "trouble",
        "good.{pt,onnx}": "equivalent",
        "good.pt, last.onnx": "equivalent",
    }
    told = {result.name: str(result.trouble) for result in report.results}
    assert "onnxruntime failed: it gave no answer within 1.5 s" in told["good.pt, hang.onnx"]
    assert "the last words" in told["crash.pt, good.onnx"]
    assert time.monotonic() - started < 40
    assert sorted(name for name, _, _ in seen) == sorted(told)
    assert [(done, total) for _, done, total in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_worker_that_dies_costs_one_pair(repository: Repository, tmp_path: Path) -> None:
    repository.model("good.pt", "good.onnx")
    repository.manifest(GOOD, f'name = "killer"\n{GOOD}', f'name = "last"\n{GOOD}')
    with (tmp_path / "stand-ins" / "sitecustomize.py").open("a", encoding="utf-8") as file:
        file.write(
            "import grubridge.suite.pair as pair, os, sys\n"
            "check = pair._report\n"
            "def dies(one, *rest):\n"
            "    if one.name == 'killer':\n"
            "        print('out of memory', file=sys.stderr, flush=True)\n"
            "        os._exit(9)\n"
            "    return check(one, *rest)\n"
            "pair._report = dies\n"
        )
    report = repository.check(jobs=2)

    assert _statuses(report.results) == {
        "killer": "trouble",
        "good.{pt,onnx}": "equivalent",
        "last": "equivalent",
    }
    assert report.results[0].trouble == (
        "the process that checked it failed: its process ended with exit code 9 before it answered; the file "
        "may be damaged, or memory too small. Its last words:\n  out of memory"
    )


def test_a_defect_is_the_trouble_of_one_pair(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    repository.model("good.pt", "good.onnx")
    repository.manifest(GOOD)
    monkeypatch.setattr("grubridge.suite.pair._report", broken)
    (result,) = repository.check().results

    assert result.status == "trouble"
    assert str(result.trouble).startswith(
        "this is a defect of grubridge; please report it with these lines:\n"
    )
    assert str(result.trouble).endswith("ZeroDivisionError: a defect")


def test_pairs_are_selected(repository: Repository) -> None:
    repository.model("good.pt", "good.onnx")
    repository.manifest(GOOD, f'name = "kws"\n{GOOD}', f'name = "old"\n{GOOD}')
    report = repository.check(select="kws or good")

    assert sorted(result.name for result in report.results) == ["good.{pt,onnx}", "kws"]
    assert report.deselected == 1
    nothing = repository.check(select="none of these".replace(" ", " and "))
    assert (nothing.results, nothing.deselected, nothing.outcome) == ((), 3, "trouble")


def test_the_order_is_not_that_in_which_results_come(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(pairs: Sequence[Pair], *_: object) -> Generator[PairResult]:
        for pair in reversed(pairs):
            yield PairResult(pair.name, pair.artifacts, "trouble", trouble="none")

    monkeypatch.setattr("grubridge.suite.run.check_all", backwards)
    repository.manifest(*(f'name = "{name}"\nartifacts = ["{name}.pt"]' for name in "bac"))

    assert [result.name for result in repository.check().results] == ["b", "a", "c"]


def test_warnings_of_a_pair(repository: Repository) -> None:
    repository.model("good.pt")
    spec = read(repository.folder / "good.pt")
    direction = next(spec.directions())[2]
    weight = direction.input_weight.update.copy()
    weight[0, 0] = np.nan
    changed = replace(direction, input_weight=replace(direction.input_weight, update=weight))
    layer = replace(spec.layers[0], forward=changed)
    write(replace(spec, layers=(layer,)), repository.folder / "nan.pt")
    repository.manifest('a = "nan.pt"\nb = "good.pt"')
    (result,) = repository.check().results

    assert "NaN" in result.warnings[0]


def test_hints_that_do_not_fit_are_named_as_the_manifest_names_them(repository: Repository) -> None:
    repository.model("good.pt", "good.onnx", "other.onnx", "good.keras", "other.keras")
    repository.manifest(
        f'name = "foreign"\n{GOOD}\nrecurrent_activation = "relu"\nreset_after = true',
        'name = "said"\na = "good.keras"\nb = "other.keras"\nrecurrent_activation = "relu"',
        'name = "layout"\na = "good.onnx"\nb = "other.onnx"\nlayout = "d2l"',
    )
    told = {result.name: str(result.trouble) for result in repository.check().results}

    assert told == {
        "foreign": f"{repository.folder}/good.pt: recurrent_activation, reset_after is for Keras weights "
        "without a model; this file is pytorch and says these things itself",
        "said": f"{repository.folder}/good.keras: the file says itself what recurrent_activation would say; "
        "leave it out",
        "layout": f"{repository.folder}/good.onnx: layout is for files of named tensors; this file is onnx, "
        "which says these things itself",
    }


def test_options_that_contradict_each_other(repository: Repository) -> None:
    repository.manifest(GOOD)

    for options in ({"weights_only": True}, {"device": "cpu"}, {"backends": ["pytorch"]}):
        with pytest.raises(
            ManifestError, match=r"^a lock is of runs as the manifest has them: leave out what"
        ):
            repository.check(locked=True, **options)
    with pytest.raises(ManifestError, match=r"^jobs must be 1 or more; received 0$"):
        repository.check(jobs=0)


def test_the_manifest_of_the_working_folder(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.model("good.pt", "good.onnx")
    repository.manifest(GOOD)
    monkeypatch.chdir(repository.folder)
    report = check(jobs=2)

    assert report.manifest == "grubridge.toml"
    assert report.results[0].report is not None
    assert [one.label for one in report.results[0].report.artifacts] == ["good.pt", "good.onnx"]
