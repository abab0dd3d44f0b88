"""One pair, checked: whatever happens, it has a result."""

from __future__ import annotations

import time
import traceback
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grubridge.errors import GRUBridgeError
from grubridge.files.limits import Limits, limits

from .manifest import Pair
from .result import PairResult, PairStatus

if TYPE_CHECKING:
    from grubridge.backends.pool import Serve
    from grubridge.checker.result import CheckReport

__all__ = ["Way", "check_pair", "expected"]


@dataclass(frozen=True)
class Way:
    """How pairs are checked, beside what the manifest says.

    Args:
        weights_only: compare the files' numbers, and run nothing.
        keep_pictures: keep what an HTML page shows beyond the reports.
        limits: what reading and running may take, unless the manifest says it of a pair.
    """

    weights_only: bool = False
    keep_pictures: bool = False
    limits: Limits = field(default_factory=Limits)


def check_pair(pair: Pair, way: Way | None = None, serve: Serve | None = None) -> PairResult:
    """Check a pair. Nothing is raised: what could not be done is trouble.

    Args:
        pair: what the manifest says.
        way: how it is checked.
        serve: the processes of runtimes to use; None starts one of each that is needed, and ends it.
    """
    started = time.perf_counter()
    way = way or Way()
    found: dict[str, Any] = {"name": pair.name, "artifacts": pair.artifacts}
    found |= {"reason": pair.xfail, "line": pair.line}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with limits(max_memory=way.limits.max_memory, timeout=pair.timeout or way.limits.timeout):
                found |= _judged(pair, _report(pair, way, serve), strict=not way.weights_only)
        except GRUBridgeError as error:
            found |= {"status": "trouble", "trouble": str(error)}
        except MemoryError as error:
            found |= {
                "status": "trouble",
                "trouble": f"not enough memory: {error}; give it fewer jobs at once",
            }
        except Exception as error:  # noqa: BLE001 - the other pairs go on
            where = "".join(traceback.format_exception(error)).rstrip()
            words = f"this is a defect of grubridge; please report it with these lines:\n{where}"
            found |= {"status": "trouble", "trouble": words}
    told = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return PairResult(**found, warnings=told, seconds=time.perf_counter() - started)


def expected(status: PairStatus, xfail: str | None) -> PairStatus:
    """Return what a status is where a difference was expected."""
    if xfail is None:
        return status
    changed: dict[PairStatus, PairStatus] = {"different": "xfailed", "equivalent": "xpassed"}
    return changed.get(status, status)


def _report(pair: Pair, way: Way, serve: Serve | None) -> CheckReport:
    from grubridge.formats.base import ReadHints
    from grubridge.verification import compare_weights, verify

    layout = pair.layout
    if layout is not None and layout in pair.files():
        layout = str(pair.path(layout))
    hints = ReadHints(
        pair.activation,
        pair.recurrent_activation,
        pair.reset_after,
        layout,
        pair.skip_unsafe,
        in_manifest=True,
    )
    paths = [pair.path(artifact) for artifact in pair.artifacts]
    if way.weights_only:
        rounded = pair.tolerance is not None
        return compare_weights(*paths, stack=pair.stack, mapping=pair.map, hints=hints, rounded=rounded)
    return verify(
        *paths,
        stack=pair.stack,
        mapping=pair.map,
        hints=hints,
        example=None if pair.example is None else pair.path(pair.example),
        keep_pictures=way.keep_pictures,
        **(_of_runs(pair, serve) if _runs(pair) else {}),
    )


def _runs(pair: Pair) -> bool:
    """Whether something is run: a recorded run is held against the equations of a file alone."""
    return pair.example is None or len(pair.artifacts) > 1 or pair.backends is not None


def _of_runs(pair: Pair, serve: Serve | None) -> dict[str, Any]:
    """Return the settings of a check that concern runs."""
    given = pair.inputs
    return {
        "inputs": None if given.file is None else pair.path(given.file),
        "seed": given.seed,
        "batch": given.batch,
        "steps": given.steps,
        "lengths": given.lengths,
        "backends": pair.backends,
        "device": pair.device,
        "allow_tf32": pair.allow_tf32,
        "tolerance": pair.tolerance,
        "serve": serve,
    }


def _judged(pair: Pair, report: CheckReport, *, strict: bool) -> dict[str, Any]:
    """Return what a report says of a pair; `strict`: whether to be equivalent may be unexpected."""
    from grubridge.checker.outcome import FAILED
    from grubridge.checker.verdict import Verdict

    from .judged import judged

    failures = [cause.detail for cause in report.diagnosis if cause.cause == FAILED]
    if report.verdict is Verdict.INCONCLUSIVE and failures:
        return {"status": "trouble", "trouble": "\n".join(failures)}
    found = judged(report)
    if strict or found["status"] == "different":
        found["status"] = expected(found["status"], pair.xfail)
    return {**found}
