"""Names that attack whatever shows them: terminals, browsers, Markdown, XML, CI logs, LaTeX, spreadsheets.

Any of them may stand in a model file, and so reach every report.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["HOSTILE_NAMES", "LONG", "has_command", "is_inert"]

LONG = "gru_" + 25_000 * "long"

HOSTILE_NAMES = (
    "\x1b[31mred\x1b[0m",  # colours
    "\x1b]0;title\x07\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",  # a title, a hidden link
    "\x1b[2J\x1b[1;1H\x1bc\x1b[?1049h",  # an erased screen
    "\x9b31mC1\x9d0;title\x9c\x85",  # the same in one byte each
    "\u202egnitset\u202c\u2066a\u2067b\u2069",  # bidirectional overrides
    "\u05d0\u05d1\u05d2 123 \u0627\u0644",  # letters that run from right to left
    "zero\u200bwidth\u200d\ufeff\u2060\u00ad",
    "separators\u2028\u2029\u0085end",
    "two\nlines\r\n::add-mask::e",
    "\r\x08\x08overwritten\x7f\x0b\x0c",
    "nul\x00\x08\x7f\x85\ufffe\udce8\ud800",
    "tags\U000e0041\U000e007f",
    "]]>",
    "--><!-- <![CDATA[",
    "a|b",
    "`` ```code``` ~~~",
    "<script>alert(1)</script>&amp;",
    "</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}{% raw %}",
    "::error::boom",
    "##[error]boom",
    "%0A::error::%0D",
    "100%25, a:b, c=d",
    "\\end{document}\\input{/etc/passwd}$x_1^2$ {} # ~ % & ^",
    "\\write18{touch x} ^^41",
    "@everyone #1 https://a.b www.a.b *x* _y_ ![i](j)",
    "=cmd|'/c calc'!A0",
    "../../etc/passwd",
    "'; import os; os.abort() #",
    "\u00e9\u4e2d\U0001f600",
    "",
    LONG,
)
"""One of every kind of attack; what it would do to whom is the character of each."""

_ODD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def is_inert(text: str) -> bool:
    """Whether a terminal has nothing to obey in a text but its line breaks."""
    return not any(unicodedata.category(character) in _ODD for character in text.replace("\n", ""))


def has_command(text: str) -> bool:
    """Whether GitHub's runner reads a command in a text: lines that begin with `::`, and `##[` anywhere."""
    return re.search(r"^\s*::|##\[", text, re.MULTILINE) is not None
