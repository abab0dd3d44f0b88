"""-k: which names an expression chooses."""

from __future__ import annotations

import pytest

from grubridge.errors import ManifestError
from grubridge.suite.select import selector

NAMES = ("kws.{keras,onnx}", "kws-old", "Speech (v2)", "models/or.pt")


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("kws", NAMES[:2]),
        ("KWS", NAMES[:2]),
        ("speech", NAMES[2:3]),
        ("kws and onnx", NAMES[:1]),
        ("kws and not onnx", NAMES[1:2]),
        ("not kws", NAMES[2:]),
        ("not not kws", NAMES[:2]),
        ("speech or kws and onnx", (NAMES[0], NAMES[2])),
        ("(speech or kws) and onnx", NAMES[:1]),
        ("not (speech or kws)", NAMES[3:]),
        ("{keras,onnx}", NAMES[:1]),
        ("/or.", NAMES[3:]),
        ("nothing", ()),
    ],
)
def test_what_is_chosen(expression: str, chosen: tuple[str, ...]) -> None:
    chooses = selector(expression)

    assert tuple(name for name in NAMES if chooses(name)) == chosen


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "a word of a name is missing"),
        ("kws and", "a word of a name is missing"),
        ("or kws", "a word of a name is missing"),
        ("not", "a word of a name is missing"),
        ("()", "a word of a name is missing"),
        ("(kws", "a parenthesis is not closed"),
        ("kws onnx", "and, or or the end is expected before 'onnx'"),
        ("kws)", "and, or or the end is expected before '\\)'"),
        ("(" * 60, "it is nested too deep"),
        ("not " * 60, "it is nested too deep"),
    ],
)
def test_what_is_no_expression(expression: str, why: str) -> None:
    with pytest.raises(ManifestError, match=rf"^-k '.*': {why}; write e\.g\. -k \"kws and not onnx\"$"):
        selector(expression)
