"""An explanation as text, Markdown, LaTeX and JSON values."""

from .latex import latex
from .markdown import markdown
from .text import render
from .values import to_json

__all__ = ["latex", "markdown", "render", "to_json"]
