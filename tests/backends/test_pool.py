"""The processes of runtimes, shared: how many there are, and what becomes of requests when one dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grubridge.backends.pool import Pool, Request

RUNTIME = """
import os, sys, time
started = time.monotonic()
time.sleep({start})
if {broken!r}:
    print({broken!r}, file=sys.stderr, flush=True)
    os._exit(4)
def devices():
    return (str(os.getpid()),)
"""
WORKER = """
import json, os, sys, time
from importlib import import_module
from grubridge.backends import worker
def run(backend, devices, request):
    time.sleep(request.get("seconds", 0))
    if request.get("dies"):
        os.abort()
    return {"process": os.getpid(), "number": request.get("number")}
worker._run = run
worker.main(sys.argv[1])
"""

Make = Callable[..., str]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what makes a runtime, which answers with its process."""
    (tmp_path / "answering_worker.py").write_text(WORKER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("grubridge.backends.pool._WORKER", "answering_worker")

    def make(name: str = "runtime", *, start: float = 0.0, broken: str = "") -> str:
        (tmp_path / f"{name}.py").write_text(RUNTIME.format(start=start, broken=broken), encoding="utf-8")
        return name

    return make


def _processes(answers: list[dict[str, Any]]) -> set[int]:
    return {answer["process"] for answer in answers}


def test_answers_keep_their_order(runtime: Make) -> None:
    one, other = runtime("one"), runtime("other")
    with Pool(2) as pool:
        requests = [Request((one, other)[number % 2], {"number": number}) for number in range(20)]
        answers = pool.serve(requests)

    assert [answer["number"] for answer in answers] == list(range(20))
    assert len(_processes(answers)) == 2


def test_a_second_process_starts_when_waiting_has_cost_as_much_as_its_start(runtime: Make) -> None:
    short = [Request(runtime(), {"seconds": 0.001}) for _ in range(20)]
    long = [Request(runtime(), {"seconds": 0.2}) for _ in range(40)]

    with Pool(3) as pool:
        assert len(_processes(pool.serve(short))) == 1
    with Pool(3) as pool:
        assert 1 < len(_processes(pool.serve(long))) <= 3
    with Pool(1) as pool:
        assert len(_processes(pool.serve(long[:20]))) == 1


def test_threads_share_the_processes(runtime: Make) -> None:
    name = runtime(start=0.3)
    with Pool(1) as pool, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: pool.serve([Request(name, {"number": number})]), range(12)))

    assert [answer["number"] for (answer,) in answers] == list(range(12))
    assert len(_processes([answer for (answer,) in answers])) == 1


def test_only_the_request_is_lost_that_a_process_died_on(runtime: Make) -> None:
    requests = [Request(runtime(), {"number": number, "dies": number in {1, 3}}) for number in range(5)]
    with Pool() as pool:
        answers = pool.serve(requests)

    assert [answer.get("number") for answer in answers] == [0, None, 2, None, 4]
    assert [answer.get("error") for answer in answers] == [None, "Ended", None, "Ended", None]
    assert "killed by SIGABRT" in answers[1]["words"]
    assert len({answer["process"] for answer in answers if "process" in answer}) == 3


def test_a_request_has_its_own_time(runtime: Make) -> None:
    name = runtime(start=1.0)
    with Pool() as pool:
        in_time, late, after = pool.serve(
            [Request(name, {}, 0.9), Request(name, {"seconds": 30}, 0.5), Request(name, {}, 0.9)]
        )

    assert "process" in in_time  # although the start took longer
    assert late["words"].startswith("it gave no answer within 0.5 s, so its process was ended")
    assert "process" in after


def test_a_runtime_that_does_not_start_is_started_once(runtime: Make) -> None:
    name, began = runtime(start=0.5, broken="no such library"), time.monotonic()
    with Pool() as pool:
        answers = [pool.serve([Request(name, {})])[0] for _ in range(20)]

    assert {answer["words"].splitlines()[-1] for answer in answers} == {"  no such library"}
    assert {answer["error"] for answer in answers} == {"Ended"}
    assert time.monotonic() - began < 8


def test_a_closed_pool_answers_nothing_more(runtime: Make) -> None:
    name = runtime()
    pool = Pool()
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(pool.serve, [Request(name, {"seconds": 60}), Request(name, {})])
        time.sleep(1)
        began = time.monotonic()
        pool.close()
        with pytest.raises(CancelledError):
            serving.result(10)

    assert time.monotonic() - began < 8
