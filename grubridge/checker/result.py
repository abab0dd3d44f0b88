"""The result of a check, as plain values: `report` makes text and JSON of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grubridge import notebooks
from grubridge.traces import GateSource

from .findings import Cause, Comparison, Drift, FileProof, Sensing, Tolerance, Tolerated
from .verdict import Verdict

if TYPE_CHECKING:
    from .pictures import Pictures

__all__ = ["CheckReport", "CheckedArtifact", "CheckedProbe", "Run"]


@dataclass(frozen=True)
class CheckedArtifact:
    """One stack of one file, or of a model in memory.

    Args:
        label: what the report calls it: the path, with the stack where that is needed.
        path: the file; "" for a model in memory.
        format: e.g. "keras".
        stack: the stack's name in the file.
        dtype: of the weights.
        sha256: of the file; None when it is too large to hash in the time of a check, or there is none.
    """

    label: str
    path: str
    format: str
    stack: str
    dtype: str
    sha256: str | None


@dataclass(frozen=True)
class Run:
    """One execution.

    Args:
        artifact: label of what ran.
        backend: the runtime.
        version: its version.
        device: e.g. "cpu".
        dtype: of weights and states in the run.
        native: whether the runtime opened the file with its own loader.
        seconds: wall time of loading and running.
        notes: what a reader should know.
        gates: how they were obtained: "observed", "replayed" or "reference"; None when the run has none.
        kernel: what computed, in a few words.
        precision: of the computation, e.g. "float32, TF32 allowed".
        constants: where the errors of its activation functions come from, e.g. "measured here".
    """

    artifact: str
    backend: str
    version: str
    device: str
    dtype: str
    native: bool
    seconds: float
    notes: tuple[str, ...]
    gates: GateSource | None
    kernel: str = ""
    precision: str = ""
    constants: str = ""


@dataclass(frozen=True)
class CheckedProbe:
    """The inputs.

    Args:
        origin: "random, seed 0" or a file.
        batch: B.
        steps: T.
        lengths: of every sequence; None when all are T long.
        initial_state: "given", "learned" (the model's own) or "zero".
    """

    origin: str
    batch: int
    steps: int
    lengths: tuple[int, ...] | None
    initial_state: Literal["given", "learned", "zero"]


@dataclass(frozen=True)
class CheckReport:
    """The result of a check. Compare `verdict`; a report has no truth value either.

    Args:
        verdict: of everything together; of `tolerated` where the user brought a tolerance.
        by_the_bound: the verdict without that tolerance.
        artifacts: what was checked.
        runs: what ran.
        proofs: what the numbers of the files say.
        comparisons: what was compared.
        sensitivity: which changes of a single weight would have been seen.
        diagnosis: why it is not EQUIVALENT.
        drift: of free-running pairs, for information.
        lyapunov_exponent: mean growth per step of a small difference of states in the first file's equations,
            natural logarithm; positive: chaotic. None when it is not known.
        tolerance: the user's own; None when there is none.
        tolerated: what it says of every run, against the first.
        probe: the inputs; None when nothing was run.
        environment: versions of grubridge, Python and numpy, and the platform.
        left_out: runtimes, and designed steps, that had no part, and why.
        options: of the command line, that read and pair these files as the check did, e.g. "--layout=d2l".
        pictures: what a page shows beyond all this; None where it was not asked for.
    """

    verdict: Verdict
    by_the_bound: Verdict
    artifacts: tuple[CheckedArtifact, ...]
    runs: tuple[Run, ...]
    proofs: tuple[FileProof, ...]
    comparisons: tuple[Comparison, ...]
    sensitivity: tuple[Sensing, ...]
    diagnosis: tuple[Cause, ...]
    drift: tuple[Drift, ...]
    lyapunov_exponent: float | None
    tolerance: Tolerance | None
    tolerated: tuple[Tolerated, ...]
    probe: CheckedProbe | None
    environment: Mapping[str, str]
    left_out: Mapping[str, str]
    options: tuple[str, ...] = ()
    pictures: Pictures | None = None

    def _repr_html_(self) -> str | None:
        return notebooks.html(self, "check_fragment")

    def __bool__(self) -> bool:
        return bool(self.verdict)  # raises, and says what to write instead
