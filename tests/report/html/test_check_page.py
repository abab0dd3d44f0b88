"""The page of a check: one safe file, whose numbers are those of the report."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge.checker.findings import Cause, Sensing, Side
from grubridge.checker.heatmaps import heatmaps
from grubridge.checker.pictures import Apart
from grubridge.checker.result import CheckedArtifact, CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.reference import run as run_reference
from grubridge.report import to_json
from grubridge.report.html import check_fragment, render_check, render_trace
from grubridge.report.html.numbers import figure
from grubridge.spec import Gates
from grubridge.traces import DirectionTrace, Probe, Trace
from tests.report.a_check import ONE, OTHER, SENSED, a_report
from tests.report.html.pages import PROBE, RUNS, a_traced_model, different, parts, unpacked
from tests.zoo import make_spec

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}\u2028\u202e.pt"
PAGES = {
    "different": lambda: render_check(different()),
    "equivalent": lambda: render_check(a_report()),
    "trace": lambda: render_trace(a_traced_model()),
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_is_one_file_that_loads_and_runs_nothing_else(kind: str) -> None:
    page = PAGES[kind]()
    found = parts(page)
    (policy,) = (one["content"] for one in found.named("meta") if one.get("http-equiv"))
    hashes = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style", found.held["style"][0]), ("script", found.held["script"][-1]))
    }

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert len(page.encode()) < 400_000
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert re.findall(r"https?:|@import|url\(|[\"'(]//", page) == []
    assert [one.get("type") for one in found.named("script")] == ["application/json", None]


@pytest.mark.parametrize("kind", PAGES)
def test_every_picture_has_words_with_numbers(kind: str) -> None:
    found = parts(PAGES[kind]())
    drawings = [one["aria-label"] or "" for one in found.named("svg") if one.get("role") == "img"]
    pictures = [one["alt"] or "" for one in found.named("img") if one["alt"]]

    assert kind == "equivalent" or (drawings and pictures)
    assert all(re.search(r"\d", words) for words in drawings + pictures)
    silent = [one for one in found.named("img") if not one["alt"]]  # scales, whose numbers stand below them
    assert len(silent) in {0, len(pictures) * 2 // 3, len(pictures)}


def test_names_from_files_are_escaped_everywhere() -> None:
    report = different()
    first = CheckedArtifact(HOSTILE, HOSTILE, "pytorch", HOSTILE, "float32", None)
    side = Side(HOSTILE, "pytorch")
    assert report.pictures is not None
    assert report.pictures.apart is not None
    told = replace(
        report,
        artifacts=(first, report.artifacts[1]),
        runs=tuple(replace(run, artifact=HOSTILE, notes=(HOSTILE,)) for run in report.runs[1:2]),
        comparisons=tuple(replace(one, left=side) for one in report.comparisons),
        proofs=(replace(report.proofs[0], left=HOSTILE),),
        diagnosis=(Cause(HOSTILE, HOSTILE, mend="write anew"),),
        drift=(replace(report.drift[0], left=side),),
        sensitivity=(replace(report.sensitivity[0], left=side),),
        left_out={HOSTILE: HOSTILE},
        pictures=replace(
            report.pictures,
            layouts=(replace(report.pictures.layouts[0], label=HOSTILE), report.pictures.layouts[1]),
            apart=replace(report.pictures.apart, left=side),
        ),
    )
    for page in (render_check(told), check_fragment(told), render_trace(a_traced_model(HOSTILE))):
        found = parts(page)
        assert "alert(1)" in found.text
        assert not any("alert" in text for kind in ("script", "style") for text in found.held[kind])
        assert not [one for one in found.named("img") if one.get("src") == "x"]
        assert "\u2028" not in page
        assert "\u202e" not in page
        assert "{{ 7*7 }}" in found.text


def test_the_verdict_comes_first_then_where_why_and_how_sure() -> None:
    text = parts(render_check(different())).text
    places = [
        text.index(words)
        for words in (
            "DIFFERENT",
            "B is not the function of A",
            "Where",
            "from step 0 on: layer 0 forward",
            "Why",
            "the update and reset gates are exchanged; and so on",
            "grubridge verify a.keras b.pt --fix NEW",
            "How sure",
            "the difference is proved",
            "Does the error stay within what rounding can do?",
            "What explains it?",
            "Where does each weight go?",
            "Which unit, and when?",
            "How much room is left?",
            "All numbers",
        )
    ]

    assert places == sorted(places)


def test_numbers_of_the_tables_are_those_of_the_json() -> None:
    report = different()
    found = parts(render_check(report))
    for one in to_json(report)["comparisons"]:
        worst = one["worst"]
        symbol = {"update": "z update gate", "reset": "r reset gate", "candidate": "n candidate"}
        name = symbol.get(one["quantity"], "h hidden state")
        assert found.row("0 forward", name) == [
            "0 forward",
            name,
            figure(one["max_abs"]),
            figure(one["headroom"], 2),
            f"step {worst['time']}, sequence {worst['batch']}, unit {worst['unit']}",
            "different",
        ]


def test_curves_hold_the_profiles_bit_for_bit() -> None:
    report = different()
    curves = parts(render_check(report)).data["curves"]["curves-0-forward"]
    for one in report.comparisons:
        assert one.profile is not None
        series = curves["series"][one.quantity]
        np.testing.assert_array_equal(unpacked(series["errors"]), one.profile.errors)
        np.testing.assert_array_equal(unpacked(series["bounds"]), one.profile.bounds)
        np.testing.assert_array_equal(unpacked(series["steps"]), one.profile.times)
    assert curves["steps"] == 12


def test_heatmaps_hold_the_runs_bit_for_bit() -> None:
    maps = parts(render_check(different())).data["maps"]["map-0-forward"]
    shown = next(one for one in heatmaps(RUNS, PROBE) if one.quantity == "update")
    for index, trace in enumerate(RUNS):
        gates = trace[0, "forward"].gates
        assert gates is not None
        expected = gates.update[shown.sequence, : shown.steps]
        np.testing.assert_array_equal(
            unpacked(maps["series"]["update"][f"values{index}"]), expected.astype(np.float32).ravel()
        )


def test_causes_are_sorted_by_what_they_leave() -> None:
    rows = parts(render_check(different())).rows
    start = next(index for index, row in enumerate(rows) if row[0] == "cause")

    assert rows[start + 1 : start + 5] == [
        ["✓ the update and reset gates are exchanged", "2.5e-7", "0.25"],
        ["the kernel is transposed", "0.50", "3.0e5"],
        ["the reset gate is left out", "0.75", "1.0e6"],
        ["nothing: the files as they are", "1.5", "2.0e6"],
    ]


def test_a_difference_of_the_weights_stands_at_its_block() -> None:
    report = different()
    found = parts(render_check(report))
    largest = {one.tensor: one.max_abs for one in report.proofs[0].proof.differences}

    assert found.row("Input weights") == [
        "Input weights",
        figure(largest["input_weight.update"], 2),
        figure(largest["input_weight.reset"], 2),
        "none",
    ]
    assert "Gates permuted" not in found.text  # the style sheet makes the first letter large
    assert "gates permuted: z r n becomes r z n" in found.text
    assert "weights transposed" in found.text


def test_without_pictures_errors_over_time_and_tables_are_there() -> None:
    page = render_check(replace(different(), pictures=None))
    text = parts(page).text

    assert "Does the error stay within what rounding can do?" in text
    assert "Which unit, and when?" not in text
    assert parts(page).named("img") == []


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_without_any_comparison_has_a_page(verdict: Verdict) -> None:
    report = replace(
        a_report(),
        verdict=verdict,
        by_the_bound=verdict,
        comparisons=(),
        sensitivity=(),
        proofs=(),
        drift=(),
        probe=None,
        runs=(),
    )

    assert verdict.value in parts(render_check(report)).text


def test_a_fragment_has_no_script_and_no_page_around_it() -> None:
    fragment = check_fragment(different())
    found = parts(fragment)

    assert found.named("script") == []
    assert found.named("html") == []
    assert "B is not the function of A" in found.text
    assert len(fragment.encode()) < 60_000


def _large(steps: int, units: int) -> CheckReport:
    random = np.random.default_rng(0)

    def run(backend: str) -> Trace:
        numbers = [random.random((1, steps, units), np.float32) for _ in range(4)]
        made = DirectionTrace(
            np.zeros((1, steps, 1)), np.zeros((1, units)), numbers[0], Gates(*numbers[1:]), "observed"
        )
        return Trace(backend, "1", "cpu", "float32", native=True, places={(0, "forward"): made})

    report = different()
    assert report.pictures is not None
    found = tuple(heatmaps([run("keras"), run("pytorch")], Probe(np.zeros((1, steps, 1)))))
    return replace(report, pictures=replace(report.pictures, apart=Apart(ONE, OTHER, found, 1)))


def test_ten_thousand_steps_of_a_thousand_units_fit_and_the_page_says_how() -> None:
    page = render_check(_large(10_000, 1024))

    assert len(page.encode()) < 400_000
    assert (
        "Each cell stands for 136 steps and 28 units, and shows the one number of them that differs most"
        in page
    )
    assert "a maximum, never a mean" in page


def test_a_stack_of_a_hundred_layers_fits() -> None:
    report = different()
    comparisons = tuple(
        replace(one, layer=layer, left=Side("a.keras", f"runtime {edge}"))
        for edge in range(12)
        for layer in range(100)
        for one in report.comparisons
    )
    seen = Sensing("end-to-end", ONE, OTHER, Verdict.DIFFERENT, 3e7, SENSED)
    page = render_check(replace(report, comparisons=comparisons, sensitivity=(seen,)))

    assert len(page.encode()) < 400_000
    assert "96 further layers and directions, with smaller errors" in page
    assert "374 further comparisons, which come less near to their bounds" in page
    assert "3.0e7" in parts(page).text


def test_layers_that_are_not_drawn_are_counted() -> None:
    report = different()
    assert report.pictures is not None
    assert report.pictures.apart is not None
    apart = replace(report.pictures.apart, places=7)
    page = render_check(replace(report, pictures=replace(report.pictures, apart=apart)))

    assert "6 further layers and directions are not drawn" in page
    assert "are not drawn" not in render_check(report)


def test_a_recording_is_drawn_beside_the_equations(tmp_path: Path) -> None:
    random, spec = np.random.default_rng(5), make_spec("recorded", sizes=(2, 3))
    x = random.standard_normal((2, 6, 2))
    hidden = run_reference(spec, Probe(x)).places[0, "forward"].hidden
    wrong = hidden + (np.arange(6) == 4)[:, None] * 0.25
    grubridge.write(spec, tmp_path / "model.safetensors")
    np.savez(tmp_path / "run.npz", x=x.astype(np.float32), hidden=wrong.astype(np.float32))
    report = grubridge.verify(
        tmp_path / "model.safetensors", example=tmp_path / "run.npz", keep_pictures=True
    )
    assert report.pictures is not None
    assert report.pictures.apart is not None
    (drawn,) = report.pictures.apart.heatmaps
    page = parts(render_check(report))

    assert drawn.quantity == "hidden"
    assert np.allclose(drawn.difference[4], 0.25, atol=1e-6)
    assert np.allclose(drawn.difference[3], 0, atol=1e-6)
    assert "run.npz recorded" in " ".join(page.text.split())
