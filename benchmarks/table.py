"""One comparison as a row of the printed table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.processes import Ratio

__all__ = ["HEADER", "Row"]

HEADER = f"{'what':34} {'against':26} {'ratio':>7} {'limit':>7} {'seconds':>9} {'against':>9} {'anon MiB':>9}"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        what: the command that was measured.
        against: its baseline.
        found: the figures.
        limit: the ratio that must not be exceeded.
        memory_limit: the anonymous memory that must not be exceeded, in MiB; None sets no limit.
    """

    what: str
    against: str
    found: Ratio
    limit: float
    memory_limit: int | None = None

    @property
    def holds(self) -> bool:
        """Whether every limit holds."""
        memory = self.memory_limit is None or self.found.anonymous <= self.memory_limit << 20
        return self.found.ratio <= self.limit and memory

    def __str__(self) -> str:
        found = self.found
        line = (
            f"{self.what:34} {self.against:26} {found.ratio:7.2f} {self.limit:7.2f} {found.command:9.3f} "
            f"{found.baseline:9.3f} {found.anonymous / 2**20:9.0f}"
        )
        return line if self.holds else f"{line}  ABOVE THE LIMIT"
