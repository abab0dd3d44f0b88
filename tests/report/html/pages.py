"""Checks, traces and suites with pictures, made without any framework, and pages taken apart."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np

from grubridge.checker.algebra import prove
from grubridge.checker.compare import compare
from grubridge.checker.findings import Cause, Comparison, FileProof, Tried
from grubridge.checker.heatmaps import heatmaps
from grubridge.checker.pictures import Apart, Pictures, TriedAt, WeightLayout
from grubridge.checker.probe import random_probe
from grubridge.checker.result import CheckedProbe, CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import Array
from grubridge.traces import Probe, Trace
from grubridge.tracing import TracedModel
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.report.a_check import ONE, OTHER, a_report
from tests.zoo import make_spec

__all__ = ["PROBE", "RUNS", "SPEC", "Parts", "a_traced_model", "different", "parts", "unpacked"]

SPEC = make_spec("drawn", sizes=(3, 6), seed=11)
WRONG = MISTAKES["update and reset exchanged"](SPEC)
PROBE: Probe = random_probe([SPEC], seed=0, batch=2, steps=12, lengths=[12, 9])
RUNS: tuple[Trace, Trace] = (
    replace(run_rounded(SPEC, PROBE, "float32", seed=1), backend="keras"),
    replace(run_rounded(WRONG, PROBE, "float32", seed=2), backend="pytorch"),
)
_KERAS = WeightLayout(
    "a.keras",
    "keras",
    ("update", "reset", "candidate"),
    "input",
    takes=False,
    input_size=3,
    hidden_size=6,
    input_bias=True,
    recurrent_bias="all",
    reset_after=True,
)
_LAYOUTS = (
    _KERAS,
    replace(
        _KERAS,
        label="b.pt",
        format="pytorch",
        gate_order=("reset", "update", "candidate"),
        rows="output",
    ),
)


def different() -> CheckReport:
    """A check of two files, one of which has two gates exchanged, with all its pictures."""
    how = arithmetic_of("pytorch", "float32")
    found: tuple[Comparison, ...] = compare(SPEC, RUNS[1], PROBE, "end-to-end", (ONE, OTHER), how)
    best = Tried("the update and reset gates are exchanged", 2.5e-7, 0.25)
    rivals = (Tried("the kernel is transposed", 0.5, 3e5), Tried("the reset gate is left out", 0.75, 1e6))
    tried = TriedAt(OTHER, 0, "forward", Tried("", 1.5, 2e6), rivals)
    return replace(
        a_report(),
        verdict=Verdict.DIFFERENT,
        by_the_bound=Verdict.DIFFERENT,
        comparisons=found,
        probe=CheckedProbe(PROBE.origin, PROBE.batch, PROBE.steps, (12, 9), "given"),
        proofs=(FileProof("a.keras", "b.pt", prove(SPEC, WRONG, ("a.keras", "b.pt"))),),
        diagnosis=(Cause("gate order", f"{best.what}; and so on", mend="write anew", tried=(best,)),),
        pictures=Pictures(
            _LAYOUTS, (tried,), Apart(ONE, OTHER, tuple(heatmaps(RUNS, PROBE)), len(RUNS[0].places))
        ),
    )


def a_traced_model(model: str = "a.keras") -> TracedModel:
    return TracedModel(model, "gru", SPEC, PROBE, RUNS[0])


class Parts(HTMLParser):
    """A page taken apart: its elements with their attributes, its text, what each script and style holds."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.held: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.text = ""
        self.rows: list[list[str]] = []
        self._open: str | None = None
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in self.held else None
        if self._open:
            self.held[tag].append("")
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._open = None
        if tag in {"td", "th"}:
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.held[self._open][-1] += data
            return
        self.text += data
        if self._cell and self.rows and self.rows[-1]:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data.strip()}".strip()

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def row(self, *beginning: str) -> list[str]:
        """The first row of a table that begins so."""
        return next(row for row in self.rows if tuple(row[: len(beginning)]) == beginning)

    @property
    def data(self) -> dict[str, Any]:
        """What the script is given."""
        found: dict[str, Any] = json.loads(self.held["script"][0])
        return found


def parts(page: str) -> Parts:
    return Parts(page)


def unpacked(packed: dict[str, str]) -> Array:
    """The array that a script unpacks."""
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['type']}")
