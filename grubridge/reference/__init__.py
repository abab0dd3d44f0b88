"""The executable definition of a GRU in float64, and how far rounding may move a result."""

from .equations import Cell, cell, one_step, run

__all__ = ["Cell", "cell", "one_step", "run"]
