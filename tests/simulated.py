"""Runtimes that stand in for the frameworks where a test is about what is run, not about how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grubridge.backends.launch import Job
from grubridge.conversion import read
from grubridge.errors import BackendError, GRUBridgeError
from grubridge.formats.base import ReadHints
from grubridge.traces import Trace
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES

__all__ = ["Runtimes"]

Outcome = Trace | GRUBridgeError


class Runtimes:
    """Stands in for the frameworks: honest float32 (or what the file's dtype says), unless told otherwise."""

    def __init__(self) -> None:
        self.fails: dict[str, GRUBridgeError] = {}
        self.fails_designed: dict[str, GRUBridgeError] = {}
        self.misreads: dict[str, str] = {}
        self.jobs: list[Job] = []
        self.serve: object = None

    @property
    def inputs(self) -> list[Job]:
        """The jobs that ran the inputs of a check, rather than a probe of grubridge's own design."""
        own = (job for job in self.jobs if not Path(job.artifact.path).stem.startswith("calibration-"))
        return [job for job in own if not job.probe.origin.startswith("designed")]

    def run_jobs(self, jobs: Sequence[Job], serve: object) -> list[Outcome]:
        self.serve = serve
        self.jobs += jobs
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcome:
        if Path(job.artifact.path).stem.startswith("calibration-"):
            return BackendError("a stand-in has no activations of its own to measure")
        if job.probe.origin.startswith("designed") and job.backend in self.fails_designed:
            return self.fails_designed[job.backend]
        if job.backend in self.fails:
            return self.fails[job.backend]
        prefix = job.artifact.address.get("prefix", "").rstrip(".")
        layout = job.artifact.address.get("layout", {}).get("name")  # of a shipped one, as tests have it
        spec = read(job.artifact.path, prefix or None, hints=ReadHints(layout=layout))
        if job.backend in self.misreads:
            spec = MISTAKES[self.misreads[job.backend]](spec)
        made = run_rounded(spec, job.probe, spec.dtype.name, seed=len(job.backend))
        return replace(made, backend=job.backend)
