"""A twin that is another function, written anew from the file that it should be the twin of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.conversion import Conversion, convert
from grubridge.errors import UnsupportedFeatureError
from grubridge.formats.base import ReadHints, WriteOptions
from grubridge.verification import verify_conversion
from grubridge.verification.pairing import open_with_hints

__all__ = ["Mended", "mend"]

_FILES = 2


@dataclass(frozen=True)
class Mended:
    """The file that was written, and what running it beside the first file says."""

    conversion: Conversion
    check: CheckReport


def mend(
    report: CheckReport, target: Path | str, *, force: bool = False, hints: ReadHints | None = None
) -> Mended:
    """Write what the second file of a check should have been, in its format and layout, and verify that.

    Args:
        report: a check of two files that ended in DIFFERENT, its cause something in the second file.
        target: the new file; neither of the two is touched.
        force: replace the target if it exists.
        hints: what the files do not say themselves, as for `verify`.

    Raises:
        UnsupportedFeatureError: when writing the second file anew would mend nothing.
        TargetError: when the target exists or cannot be written.
    """
    reason = _obstacle(report)
    if reason is not None:
        raise UnsupportedFeatureError(f"--fix cannot mend this: {reason}", [reason])
    right, wrong = report.artifacts
    of_right, of_wrong = (open_with_hints(Path(one.path), hints or ReadHints())[1] for one in (right, wrong))
    made = convert(
        right.path,
        target,
        stack=right.stack,
        to_format=wrong.format,
        dtype=wrong.dtype,
        force=force,
        hints=of_right,
        options=WriteOptions(layout=of_wrong.layout),
    )
    return Mended(made, verify_conversion(made, hints=hints))


def _obstacle(report: CheckReport) -> str | None:
    if len(report.artifacts) != _FILES:
        return f"it takes two files with one GRU each; received {len(report.artifacts)}"
    if any(not one.path for one in report.artifacts):
        return "it takes files, and one of the two is a model in memory"
    if report.by_the_bound is not Verdict.DIFFERENT:
        return f"the two files are not different: {report.by_the_bound.name}"
    if any(cause.mend == "write anew" for cause in report.diagnosis):
        return None
    found = "; ".join(f"{cause.cause}: {cause.detail}" for cause in report.diagnosis) or "no cause was found"
    return f"the cause is not in how the second file was written ({found})"
