"""The tables of a check: its files, what was compared on every edge, what its files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grubridge.checker.findings import RECORDED, Comparison
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import combined
from grubridge.report.check.sections import difference, proof
from grubridge.report.check.words import NAMES, EdgeKey, Letters, side_named

from .curves import SYMBOLS
from .numbers import figure

__all__ = [
    "Artifact",
    "EdgeTable",
    "FileProofs",
    "Row",
    "artifacts",
    "edge_tables",
    "edge_title",
    "file_proofs",
]

_ROWS, _FILES, _DIFFERENCES = 320, 40, 200
"""That a page has room for, of all tables of a kind together."""


@dataclass(frozen=True)
class Artifact:
    """A file, and where it ran."""

    letter: str
    label: str
    format: str
    stack: str
    dtype: str
    sha256: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One comparison."""

    place: str
    quantity: str
    error: str
    ratio: str
    where: str
    verdict: str


@dataclass(frozen=True)
class EdgeTable:
    """The comparisons of one edge; `left_out` more are not shown, which come less near to their bounds."""

    title: str
    verdict: str
    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True)
class FileProofs:
    """What the numbers of two files say; `left_out` more differences are not shown."""

    sentence: str
    remarks: tuple[str, ...]
    differences: tuple[str, ...]
    left_out: int


def artifacts(report: CheckReport, letters: Letters) -> tuple[Artifact, ...]:
    """Return the files of a check."""
    known = {one.label: one for one in report.artifacts}
    found = []
    for label, letter in list(letters.items())[:_FILES]:
        recorded = any(run.artifact == label and run.backend == RECORDED for run in report.runs)
        about = ("recorded" if recorded else "written to be run", "", "", "")
        if label in known:
            one = known[label]
            about = (one.format, one.stack, one.dtype, one.sha256 or "")
        runs = (run for run in report.runs if run.artifact == label and run.backend != "reference")
        told = (
            "; ".join(
                (
                    ", ".join(
                        filter(None, (run.version, run.device, run.kernel, run.precision or run.dtype))
                    ),
                    *((f"gates {run.gates}",) if run.gates else ()),
                    *run.notes,
                )
            )
            for run in runs
        )
        found.append(Artifact(letter, label, *about, tuple(told)))
    return tuple(found)


def edge_title(key: EdgeKey, letters: Letters) -> str:
    """Return what is compared with what."""
    edge, left, right = key
    return f"{edge}: {side_named(left, letters)} against {side_named(right, letters)}"


def edge_tables(edges: Mapping[EdgeKey, Sequence[Comparison]], letters: Letters) -> tuple[EdgeTable, ...]:
    """Return a table for every edge."""
    most = max(1, _ROWS // max(1, len(edges)))
    return tuple(_edge_table(key, found, letters, most) for key, found in list(edges.items())[:_ROWS])


def _edge_table(key: EdgeKey, found: Sequence[Comparison], letters: Letters, most: int) -> EdgeTable:
    worst = sorted(range(len(found)), key=lambda index: -(found[index].headroom or 0.0))[:most]
    rows = tuple(_row(found[index]) for index in sorted(worst))
    verdict = combined(one.verdict for one in found).value
    return EdgeTable(edge_title(key, letters), verdict, rows, len(found) - len(rows))


def _row(one: Comparison) -> Row:
    worst = one.worst
    return Row(
        f"{one.layer} {one.direction}",
        f"{SYMBOLS[one.quantity]} {NAMES[one.quantity]}",
        "" if one.max_abs is None else figure(one.max_abs),
        "not judged" if one.headroom is None else figure(one.headroom, 2),
        "" if worst is None else f"step {worst.time}, sequence {worst.batch}, unit {worst.unit}",
        one.verdict.value,
    )


def file_proofs(report: CheckReport, letters: Letters) -> tuple[FileProofs, ...]:
    """Return what the numbers of the files say."""
    most = _DIFFERENCES // max(1, len(report.proofs))
    return tuple(
        FileProofs(
            proof(one, letters),
            one.proof.remarks[:most],
            tuple(map(difference, one.proof.differences[:most])),
            max(0, len(one.proof.differences) - most),
        )
        for one in report.proofs[:_FILES]
    )
