"""Pairs on a real cluster of worker processes, some of which die: every pair is answered, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any

import pytest

from grubridge.errors import BackendError
from grubridge.suite import scheduler
from grubridge.suite.files import digests
from grubridge.suite.manifest import Pair
from grubridge.suite.result import PairResult
from grubridge.suite.run import check
from grubridge.suite.scheduler import TRIES, check_on_cluster
from tests.ci.repository import ROOT, repository
from tests.suite.fleet_checks import fails, length, slow_length, starts


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three workers of one thread each, and a keeper that replaces those that die."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    config = import_module("dask.config")
    with (
        # a local cluster gives up workers, their successors too, some time after they died
        config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as made,
    ):
        yield made


def _pairs(folder: Path, *names: str) -> list[Pair]:
    """Pairs of files whose sizes are 1, 2, 3 and so on."""
    made = []
    for number, name in enumerate(names, 1):
        (folder / f"{name}.a").write_bytes(b"a" * number)
        (folder / f"{name}.b").write_bytes(b"b")
        made.append(Pair(name, (f"{name}.a", f"{name}.b"), folder=folder, line=number))
    return made


def _sizes(results: list[PairResult]) -> dict[str, float | None]:
    assert len({result.name for result in results}) == len(results)
    return {result.name: result.headroom for result in results}


def test_every_pair_is_answered_once(cluster: Any, tmp_path: Path) -> None:
    names = [f"pair {number}" for number in range(1, 31)]
    results = list(check_on_cluster(_pairs(tmp_path, *names), cluster.scheduler_address, length))

    assert _sizes(results) == {name: number for number, name in enumerate(names, 1)}
    assert sorted(name for name, _ in starts(tmp_path)) == sorted(names)
    assert {result.line for result in results} == set(range(1, 31))


def test_none_is_lost_when_a_worker_is_killed_midway(cluster: Any, tmp_path: Path) -> None:
    names = [f"pair {number}" for number in range(1, 31)]
    results: list[PairResult] = []
    for result in check_on_cluster(_pairs(tmp_path, *names), cluster.scheduler_address, slow_length):
        results.append(result)
        if len(results) in {5, 12}:
            os.kill(starts(tmp_path)[-1][1], signal.SIGKILL)

    assert _sizes(results) == {name: number for number, name in enumerate(names, 1)}
    assert {result.status for result in results} == {"equivalent"}


def test_a_pair_that_kills_its_worker_again_and_again_is_trouble(cluster: Any, tmp_path: Path) -> None:
    names = ["killer", *(f"pair {number}" for number in range(2, 12)), "killer too"]
    results = list(check_on_cluster(_pairs(tmp_path, *names), cluster.scheduler_address, slow_length))
    by_name = {result.name: result for result in results}

    assert len(results) == len(names)
    assert {name for name, one in by_name.items() if one.status == "trouble"} == {"killer", "killer too"}
    assert by_name["killer"].trouble == (
        "each of the 3 workers that checked it died of it; memory may be too small: "
        "check it alone with grubridge verify"
    )
    started = [name for name, _ in starts(tmp_path)]
    assert started.count("killer") == started.count("killer too") == TRIES


def test_a_file_that_differs_for_the_worker_is_trouble(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository(tmp_path)
    pair = Pair("digits", ("models/digits.pt", "models/digits.onnx"), folder=folder)
    there = digests(pair)
    here = {**there, "models/digits.onnx": "5" * 64}
    monkeypatch.setattr("grubridge.suite.scheduler.digests", lambda _: here)
    (result,) = check_on_cluster([pair], cluster.scheduler_address, length)

    assert result.status == "trouble"
    assert result.trouble == (
        f"{folder}/models/digits.onnx is another file for the worker (sha256 "
        f"{there['models/digits.onnx'][:12]}) than here (sha256 555555555555); "
        "workers need the same files at the same paths"
    )
    assert starts(folder) == []


def test_a_file_that_the_worker_does_not_see_is_trouble(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair("one", ("only-here.pt",), folder=tmp_path)
    monkeypatch.setattr("grubridge.suite.scheduler.digests", lambda _: {"only-here.pt": "5" * 64})
    (result,) = check_on_cluster([pair], cluster.scheduler_address, length)

    assert "only-here.pt is another file for the worker (sha256 absent)" in str(result.trouble)


def test_another_grubridge_on_the_worker_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = scheduler._job(_pairs(tmp_path, "one")[0], length, "topic")
    monkeypatch.setattr(scheduler, "__version__", "0.0.9")

    assert scheduler._unlike(job) == (
        "the worker has grubridge 0.0.9, and 0.1.0 asks; install the same on both"
    )


def test_a_suite_gives_on_a_cluster_what_it_gives_here(cluster: Any, tmp_path: Path) -> None:
    folder = repository(tmp_path, wrong=True)
    manifest = folder / "grubridge.toml"
    (folder / "models" / "cut.onnx").write_bytes((folder / "models" / "digits.onnx").read_bytes()[:900])
    with manifest.open("a", encoding="utf-8") as file:
        file.write('[[pair]]\nartifacts = ["models/digits.pt", "models/cut.onnx"]\n')
    here = check(manifest, weights_only=True)
    there = check(manifest, weights_only=True, scheduler=cluster.scheduler_address)

    assert [one.name for one in there.results] == [one.name for one in here.results]
    assert [one.status for one in there.results] == ["trouble", "different", "equivalent"]
    assert [(one.status, one.cause, one.headroom) for one in there.results] == [
        (one.status, one.cause, one.headroom) for one in here.results
    ]
    assert there.results[1].report is not None


def test_models_run_on_a_cluster_and_none_is_lost(
    torch: ModuleType, onnxruntime: ModuleType, cluster: Any, tmp_path: Path
) -> None:
    del torch, onnxruntime
    folder = repository(tmp_path)
    manifest = folder / "grubridge.toml"
    with manifest.open("a", encoding="utf-8") as file:
        for seed in range(1, 6):
            file.write(
                f'[[pair]]\nname = "seed {seed}"\nartifacts = ["models/digits.pt", "models/digits.onnx"]\n'
                f"inputs = {{ seed = {seed} }}\n"
            )
    client = pytest.importorskip("distributed").Client(cluster.scheduler_address, set_as_default=False)

    def kill_one(_: PairResult, so_far: int, total: int) -> None:
        assert total == 6
        if so_far == 1:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    with client:
        report = check(manifest, scheduler=cluster.scheduler_address, progress=kill_one)

    assert report.counts["equivalent"] == len(report.results) == 6
    assert len({one.name for one in report.results}) == 6
    assert check(manifest, locked=True).counts["equivalent"] == 6  # what was found is in the lock


def test_a_worker_that_fails_says_why(cluster: Any, tmp_path: Path) -> None:
    (result,) = check_on_cluster(_pairs(tmp_path, "one"), cluster.scheduler_address, fails)

    assert result.status == "trouble"
    assert "RuntimeError: a worker that is broken, at one" in str(result.trouble)


def test_pairs_wait_for_workers_and_are_answered_although_the_scheduler_dies(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed")
    contact = tmp_path / "scheduler.json"
    running = [_started("dask_scheduler", "--port", "0", "--scheduler-file", str(contact))]
    try:
        while not contact.exists():
            assert running[0].poll() is None
            time.sleep(0.05)
        address = json.loads(contact.read_text(encoding="utf-8"))["address"]
        found = check_on_cluster(_pairs(tmp_path, *"abcdefgh"), address, slow_length)
        worker = ("dask_worker", "--scheduler-file", str(contact), "--nthreads", "1")
        Timer(3, lambda: running.append(_started(*worker))).start()
        with pytest.warns(UserWarning, match="has no workers yet; the pairs wait for some"):
            results = [next(found)]
        running[0].kill()
        results += found
    finally:
        for process in running:
            process.kill()
            process.wait()

    assert sorted(result.name for result in results) == list("abcdefgh")
    assert results[0].status == "equivalent"
    assert results[-1].trouble == (
        "the scheduler went away before it was checked; start it again, and the check"
    )


def _started(command: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{command}", "--no-dashboard", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )


def test_no_scheduler_at_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed")
    monkeypatch.setattr("grubridge.suite.scheduler._PATIENCE", 1)
    with pytest.raises(BackendError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers there"):
        list(check_on_cluster(_pairs(tmp_path, "one"), "tcp://127.0.0.1:9", length))
    with pytest.raises(BackendError, match="expected an address such as tcp://10"):
        list(check_on_cluster(_pairs(tmp_path, "one"), "not an address", length))
