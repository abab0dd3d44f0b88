"""A check: as text whose last line is the verdict, and as JSON values."""

from .text import render
from .values import to_json

__all__ = ["render", "to_json"]
