"""The processes of the runtimes: started once, each serves one request after the other, side by side.

A process that dies is replaced: only the request that it died on is lost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

from grubridge.files.child_process import ChildProcess, Ended, Message

from .registry import TIMEOUT

__all__ = ["ENDED", "Pool", "Request", "Serve"]

_WORKER = "grubridge.backends.worker"

_START = 180.0
"""Seconds that a framework may take to be imported: minutes where it lies on a slow disk."""

ENDED = "Ended"
"""The kind of the error in an answer when the process ended in the place of one."""


@dataclass(frozen=True)
class Request:
    """What one process of a runtime is asked for: see `worker` for messages and answers.

    Args:
        module: the runtime's.
        message: what it is told.
        timeout: the seconds that it has for an answer.
    """

    module: str
    message: Message
    timeout: float = TIMEOUT


Serve = Callable[[Sequence[Request]], list[Message]]
"""Something that returns the answers to requests, in order."""


class Pool:
    """Processes of all runtimes, which end with the context. Any thread may ask for answers."""

    def __init__(self, processes: int = 1, threads: int | None = None) -> None:
        """Prepare; a process is started when it is first needed.

        Args:
            processes: the most of each runtime.
            threads: how many each of them computes with; None leaves it to the runtime.
        """
        self._processes = processes
        self._threads = threads
        self._lanes: dict[str, _Lane] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes; what still waits for one is never answered."""
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()

    def serve(self, requests: Sequence[Request]) -> list[Message]:
        """Return the answers to requests, in order."""
        return [answer.result() for answer in [self._put(request) for request in requests]]

    def _put(self, request: Request) -> Future[Message]:
        with self._lock:
            if request.module not in self._lanes:
                self._lanes[request.module] = _Lane(request.module, self._processes, self._threads)
            return self._lanes[request.module].put(request)


@dataclass
class _Waiting:
    request: Request
    answer: Future[Message] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class _Lane:
    """The processes of one runtime, each with a thread that listens to it, and the requests that wait.

    A second process is not worth its start for a few requests. It is started when requests have waited for
    as long, in total, as a start takes: so no more than twice the time is lost that the best choice in
    hindsight would have lost.
    """

    def __init__(self, module: str, processes: int, threads_of_each: int | None) -> None:
        self._module = module
        self._processes = processes
        self._threads_of_each = threads_of_each
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._threads: list[threading.Thread] = []
        self._children: set[ChildProcess] = set()
        self._working = 0
        self._closing = False
        self._ready_at = 0.0
        self._start = float("inf")
        self._waited = 0.0
        self._broken: Message | None = None

    def put(self, request: Request) -> Future[Message]:
        """Let a request wait for a process."""
        waiting = _Waiting(request)
        with self._changed:
            if self._broken is not None:
                waiting.answer.set_result(self._broken)
                return waiting.answer
            self._waiting.append(waiting)
            self._grow()
            self._changed.notify()
        return waiting.answer

    def close(self) -> None:
        """End all processes; what still waits is never answered."""
        with self._changed:
            self._closing = True
            for child in self._children:
                child.kill()
            for waiting in self._waiting:
                waiting.answer.cancel()
            self._waiting.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _grow(self) -> None:
        """Start another process where that pays; the lock is held."""
        if self._threads and (len(self._threads) >= self._processes or self._waited < self._start):
            return
        self._waited = 0.0
        thread = threading.Thread(target=self._work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        """Serve requests, with one process at a time."""
        child: ChildProcess | None = None
        while self._needed():
            child = child or self._started()
            if child is None:
                return
            waiting = self._next()
            if waiting is None:
                continue
            try:
                child.tell(waiting.request.message)
                answer = child.hear(waiting.request.timeout)
            except Ended as ended:
                answer = {"error": ENDED, "words": str(ended), "late": ended.late}
                self._leave(child)
                child = None
            waiting.answer.set_result(answer)
        if child is not None:
            self._leave(child)

    def _needed(self) -> bool:
        """Wait until a request waits; return False when the lane closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting)
            return not self._closing

    def _next(self) -> _Waiting | None:
        """Return the request that has waited longest; None when another process has taken it."""
        with self._changed:
            if not self._waiting:
                return None
            found = self._waiting.popleft()
            self._waited += time.monotonic() - max(found.since, self._ready_at)
            self._grow()
            return found

    def _started(self) -> ChildProcess | None:
        """Return a process that is ready; None where none can be started."""
        began = time.monotonic()
        child = None
        try:
            child = ChildProcess(_WORKER, self._module, threads=self._threads_of_each)
            self._enter(child)
            told = child.hear(_START)
        except OSError as error:
            told = {"error": ENDED, "words": f"no process could be started for it: {error}"}
        except Ended as ended:
            told = {"error": ENDED, "words": str(ended)}
        if "error" not in told:
            with self._changed:
                self._ready_at = self._ready_at or time.monotonic()
                self._start = time.monotonic() - began
            return child
        if child is not None:
            self._leave(child)
        self._fail(told)
        return None

    def _fail(self, told: Message) -> None:
        """Do without this thread. Where it was the only one, what it was told answers all that waits."""
        with self._changed:
            self._threads.remove(threading.current_thread())
            if self._threads:
                return
            if not self._ready_at:
                self._broken = told
            for waiting in self._waiting:
                waiting.answer.set_result(told)
            self._waiting.clear()

    def _enter(self, child: ChildProcess) -> None:
        with self._changed:
            self._children.add(child)
            if self._closing:
                child.kill()

    def _leave(self, child: ChildProcess) -> None:
        child.close()
        with self._changed:
            self._children.discard(child)
