"""Pairs checked side by side: workers read and judge, and share the processes of the runtimes."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from grubridge.backends.pool import Pool, Request
from grubridge.files.child_process import ChildProcess, Ended

from .manifest import Pair
from .pair import Way, check_pair
from .result import PairResult
from .worker import packed, unpacked

__all__ = ["check_all", "check_here", "processors"]

_WORKER = "grubridge.suite.worker"


def processors() -> int:
    """Return how many processors this process may use: so many pairs at once, unless the user says it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_all(pairs: Sequence[Pair], way: Way, jobs: int) -> Generator[PairResult]:
    """Yield the result of every pair as it comes, once each.

    Args:
        pairs: what the manifest says.
        way: how they are checked.
        jobs: how many at once: the most of workers, and of processes of each runtime. One is checked in this
            process.
    """
    jobs = min(jobs, len(pairs))
    if jobs <= 1:
        with Pool() as pool:
            yield from (check_pair(pair, way, pool.serve) for pair in pairs)
        return
    with ExitStack() as stack:
        threads = max(1, processors() // jobs)
        pool = Pool(jobs, threads)
        workers = _Workers(pairs, way, pool, threads)
        stack.callback(workers.join)  # which have ended when what they wait for has
        stack.enter_context(pool)
        stack.callback(workers.stop)
        yield from workers.results(jobs)


def check_here(pair: Pair, way: Way) -> PairResult:
    """Check a pair in this process, whose runtimes stay for the next one: what a cluster's worker does."""
    return check_pair(pair, way, _kept_pool().serve)


@cache
def _kept_pool() -> Pool:
    pool = Pool()
    atexit.register(pool.close)
    return pool


class _Workers:
    """Processes that check pairs, each with a thread that talks to it."""

    def __init__(self, pairs: Sequence[Pair], way: Way, pool: Pool, threads: int) -> None:
        self._way = way
        self._threads_of_each = threads
        self._pool = pool
        self._count = len(pairs)
        self._pairs: queue.SimpleQueue[Pair | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[PairResult | BaseException] = queue.SimpleQueue()
        self._children: set[ChildProcess] = set()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        for pair in pairs:
            self._pairs.put(pair)

    def results(self, jobs: int) -> Generator[PairResult]:
        """Start as many workers, and yield what comes."""
        for _ in range(jobs):
            self._pairs.put(None)
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()
        for _ in range(self._count):
            result = self._results.get()
            if isinstance(result, BaseException):
                raise result
            yield result

    def stop(self) -> None:
        """End all workers."""
        self._stopped.set()
        for child in list(self._children):
            child.kill()

    def join(self) -> None:
        """Wait until nothing is left of the workers."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        child: ChildProcess | None = None
        try:
            while (pair := self._pairs.get()) is not None and not self._stopped.is_set():
                try:
                    child = child or self._started()
                    result = self._asked(child, pair)
                except Ended as ended:
                    result = _trouble(pair, f"the process that checked it failed: {ended}")
                    self._leave(child)
                    child = None
                except OSError as error:
                    result = _trouble(pair, f"no process could be started to check it: {error}")
                self._results.put(result)
        except CancelledError:
            pass  # the runtimes' processes have ended, because all is to end
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            self._results.put(error)
        finally:
            self._leave(child)

    def _started(self) -> ChildProcess:
        child = ChildProcess(_WORKER, threads=self._threads_of_each)
        self._children.add(child)
        if self._stopped.is_set():
            child.kill()
        return child

    def _leave(self, child: ChildProcess | None) -> None:
        if child is not None:
            child.close()
            self._children.discard(child)

    def _asked(self, child: ChildProcess, pair: Pair) -> PairResult:
        """Have a worker check a pair, and have run what it asks for."""
        child.tell({"task": packed((pair, self._way)), "folder": str(Path.cwd())})
        while "result" not in (message := child.hear()):
            requests = [Request(**request) for request in message["requests"]]
            child.tell({"answers": self._pool.serve(requests)})
        result: PairResult = unpacked(message["result"])
        return result


def _trouble(pair: Pair, words: str) -> PairResult:
    return PairResult(pair.name, pair.artifacts, "trouble", trouble=words, reason=pair.xfail, line=pair.line)
