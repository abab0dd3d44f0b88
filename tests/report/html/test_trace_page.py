"""The page of a trace: its statistics, its curves, every unit of a sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grubridge.report import render, to_json
from grubridge.report.html import render_trace, trace_fragment
from grubridge.report.html.numbers import figure
from grubridge.traces import Trace
from tests.report.html.pages import a_traced_model, parts, unpacked


def test_statistics_are_those_of_the_json() -> None:
    traced = a_traced_model()
    found = parts(render_trace(traced))
    (layer,) = to_json(traced)["layers"]
    for name, key in (("z update gate", "update"), ("r reset gate", "reset")):
        seen = layer[key]
        assert found.row(name) == [
            name,
            *(figure(seen[part]) for part in ("mean", "low", "high")),
            f"{seen['above']:.1%}",
            f"{seen['below']:.1%}",
        ]
    assert found.row("h hidden state")[1:4] == [
        figure(layer["hidden"][part]) for part in ("mean", "low", "high")
    ]
    assert f"memory 1/(1-z): {figure(layer['memory']['median'])} steps" in found.text


def test_the_table_under_the_pictures_names_the_largest_numbers() -> None:
    traced = a_traced_model()
    found = parts(render_trace(traced))
    hidden = traced[0, "forward"].hidden[0].astype(np.float32)  # the longest sequence
    step, unit = np.unravel_index(int(np.abs(hidden).argmax()), hidden.shape)
    rows = [row for row in found.rows if row[0] == "h hidden state" and len(row) == 4]

    assert rows == [["h hidden state", str(step), str(unit), figure(float(hidden[step, unit]), 7)]]
    data = found.data["maps"]["map-0-forward"]
    np.testing.assert_array_equal(unpacked(data["series"]["hidden"]["values0"]), hidden.ravel())
    assert (data["columns"], data["rows"]) == (12, 6)


def test_a_run_without_gates_shows_its_states() -> None:
    traced = a_traced_model()
    made = replace(traced[0, "forward"], gates=None)
    trace: Trace = replace(traced.trace, places={(0, "forward"): made})
    found = parts(render_trace(replace(traced, trace=trace)))

    assert "gates are not shown by this runtime" in found.text
    assert [row[0] for row in found.rows if len(row) == 4 and row[0] != "quantity"] == ["h hidden state"]


def test_one_unit_is_named() -> None:
    text = parts(render_trace(a_traced_model().of_unit(4))).text

    assert "4 of 6" in text
    assert "size of the" not in text


def test_a_fragment_has_no_script() -> None:
    found = parts(trace_fragment(a_traced_model()))

    assert found.named("script") == []
    assert found.named("img") == []
    assert "a.keras" in found.text


def test_render_gives_the_page() -> None:
    traced = a_traced_model()

    assert render(traced, "html") == render_trace(traced)
    assert "sequences2steps9 to 12" in "".join(parts(render(traced, "html")).text.split("\n"))
