"""Pages in a real browser: nothing complains, nothing is asked for, and the cursor shows the very numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from grubridge.checker.heatmaps import Heatmap
from grubridge.checker.result import CheckReport
from grubridge.report.html import check_fragment, render_check, render_suite, render_trace, trace_fragment
from grubridge.report.html.numbers import figure, signed
from grubridge.suite.result import PairResult, SuiteReport
from tests.report.html.browser import Page, chromium
from tests.report.html.pages import PROBE, a_traced_model, different, parts
from tests.report.html.test_check_page import _large

SUITE = SuiteReport(
    "grubridge.toml",
    (
        PairResult(
            "bad", ("models/speech.pt", "models/speech.keras"), "different", different(), headroom=1.2e7
        ),
        PairResult("good", ("a.pt", "a.onnx"), "equivalent", headroom=0.25),
    ),
    {"python": "3.12"},
)
PAGES: dict[str, Callable[[], str]] = {
    "check": lambda: render_check(different()),
    "trace": lambda: render_trace(a_traced_model()),
    "suite": lambda: render_suite(SUITE),
}
CELLS = """Object.fromEntries([...document.querySelectorAll('figure[data-{kind}] tr[data-quantity]')].map(
    (row) => [row.dataset.quantity, [...row.querySelectorAll('td')].map((cell) => cell.textContent)]))"""
CENTRE = """(() => {{
    const box = document.querySelector('{selector}');
    box.scrollIntoView({{block: 'center'}});
    const at = box.getBoundingClientRect();
    return [at.left, at.top, at.width, at.height];
}})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


def _show(browser: Page, page: str, folder: Path, **how: object) -> None:
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    browser.show(path, **how)  # type: ignore[arg-type]


def _heatmap(report: CheckReport, quantity: str) -> Heatmap:
    assert report.pictures is not None
    assert report.pictures.apart is not None
    return next(one for one in report.pictures.apart.heatmaps if one.quantity == quantity)


def _cell(heatmap: Heatmap, column: int, row: int) -> list[str]:
    """What the table is to say of a cell."""
    step, unit = heatmap.element(column, row)
    numbers = [figure(float(values[column, row]), 7) for values in heatmap.values]
    return [str(step), str(unit), *numbers, signed(float(heatmap.difference[column, row]))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scripts", ["on", "off"])
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_complains_and_nothing_is_asked_for(
    browser: Page, kind: str, scripts: str, width: int, scheme: str, tmp_path: Path
) -> None:
    _show(browser, PAGES[kind](), tmp_path, scripts=scripts == "on", width=width, dark=scheme == "dark")

    assert browser.errors == []
    assert [one for one in browser.requests if not one.startswith("data:")] == [
        (tmp_path / "page.html").resolve().as_uri()
    ]
    assert browser.value("document.documentElement.scrollWidth") == width
    hints = browser.value("[...document.querySelectorAll('.hint')].filter((hint) => !hint.hidden).length")
    cursors = browser.value("document.querySelectorAll('.cursors').length")
    assert hints == (cursors if scripts == "on" else 0)
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(251, 251, 249)")


def test_a_browser_shows_without_scripts_what_it_shows_with_them(browser: Page, tmp_path: Path) -> None:
    texts = []
    for scripts in (True, False):
        _show(browser, PAGES["check"](), tmp_path, scripts=scripts)
        texts.append(
            browser.value("document.querySelector('main').innerText.replace(/Move over[^\\n]*/g, '')")
        )

    assert texts[0].split() == texts[1].split()
    assert "DIFFERENT" in texts[0]


def test_pictures_are_decoded(browser: Page, tmp_path: Path) -> None:
    _show(browser, PAGES["check"](), tmp_path)
    sizes = browser.value(
        "[...document.querySelectorAll('.map img')].map((i) => [i.naturalWidth, i.naturalHeight])"
    )

    assert len(sizes) == 12
    assert {tuple(size) for size in sizes} == {_heatmap(different(), "hidden").offsets.shape}


def test_the_pointer_shows_step_unit_and_the_three_numbers(browser: Page, tmp_path: Path) -> None:
    report = different()
    _show(browser, render_check(report), tmp_path)
    left, top, width, height = browser.value(CENTRE.format(selector=".maprow[data-quantity=reset] .map"))
    shown = _heatmap(report, "reset")
    columns, rows = shown.offsets.shape
    for column, row in ((0, 0), (7, 3), (columns - 1, rows - 1)):
        browser.hover(left + (column + 0.5) * width / columns, top + (row + 0.5) * height / rows)
        found = browser.value(CELLS.format(kind="map"))
        assert found == {
            quantity: _cell(_heatmap(report, quantity), column, row)
            for quantity in ("update", "reset", "candidate", "hidden")
        }


def test_arrow_keys_walk_through_every_cell(browser: Page, tmp_path: Path) -> None:
    report = different()
    _show(browser, render_check(report), tmp_path)
    shown = _heatmap(report, "candidate")
    columns, rows = shown.offsets.shape
    browser.value("document.querySelector('[data-map] .cursors').focus()")
    for _ in range(columns + rows):
        browser.press("ArrowLeft")
        browser.press("ArrowUp")
    for row in range(rows):
        for column in range(columns):
            assert browser.value(CELLS.format(kind="map"))["candidate"] == _cell(shown, column, row)
            browser.press("ArrowRight")
        browser.press("Home")
        browser.press("ArrowDown")
    said = browser.value("document.querySelector('[data-map] .said').textContent")

    assert said.startswith("z update gate: step 0, unit 5, value0 ")
    browser.press("Enter")
    largest = _heatmap(report, "hidden").largest
    assert browser.value(CELLS.format(kind="map"))["hidden"] == _cell(_heatmap(report, "hidden"), *largest)


def test_the_cursor_stands_where_the_number_is_drawn(browser: Page, tmp_path: Path) -> None:
    report = different()
    _show(browser, render_check(report), tmp_path)
    browser.value("document.querySelector('[data-map] .cursors').focus()")
    browser.press("Home")
    browser.press("ArrowRight")
    places = browser.value(
        """[...document.querySelectorAll('.map')].map((map) => {
            const frame = map.getBoundingClientRect(), line = map.querySelector('.v').getBoundingClientRect();
            return (line.left + line.width / 2 - frame.left) / frame.width; })"""
    )

    np.testing.assert_allclose(places, 1.5 / _heatmap(report, "hidden").offsets.shape[0], atol=0.01)


def test_the_cursor_of_the_curves_shows_error_bound_and_their_ratio(browser: Page, tmp_path: Path) -> None:
    report = different()
    _show(browser, render_check(report), tmp_path)
    still = browser.value(CELLS.format(kind="curves"))
    left, top, width, height = browser.value(CENTRE.format(selector="[data-curves] .surface"))
    last = PROBE.steps - 1
    for step in (0, 5, 11):
        browser.hover(left + step * width / last, top + height / 2)
        found = browser.value(CELLS.format(kind="curves"))
        for one in report.comparisons:
            assert one.profile is not None
            at = one.profile.times.index(step)
            error, bound = one.profile.errors[at], one.profile.bounds[at]
            assert found[one.quantity] == [str(step), figure(error), figure(bound), figure(error / bound, 2)]
    for one in report.comparisons:
        assert one.worst is not None
        assert still[one.quantity][0] == str(one.worst.time)
        assert still[one.quantity][3] == figure(one.headroom, 2)


def test_a_reduced_heatmap_shows_the_step_and_unit_of_its_number(browser: Page, tmp_path: Path) -> None:
    report = _large(3000, 300)
    _show(browser, render_check(report), tmp_path)
    shown = _heatmap(report, "hidden")
    browser.value("document.querySelector('[data-map] .cursors').focus()")
    for _ in range(7):
        browser.press("ArrowRight")
    browser.press("ArrowDown")
    column, row = (
        min(shown.largest[0] + 7, shown.offsets.shape[0] - 1),
        min(shown.largest[1] + 1, shown.offsets.shape[1] - 1),
    )

    assert shown.span != (1, 1)
    assert browser.value(CELLS.format(kind="map"))["hidden"] == _cell(shown, column, row)


def test_numbers_that_are_not_finite_are_shown_as_such(browser: Page, tmp_path: Path) -> None:
    report = different()
    shown = _heatmap(report, "hidden")
    shown.values[1][2, 1], shown.values[1][3, 1] = np.nan, np.inf
    _show(browser, render_check(report), tmp_path)
    browser.value("document.querySelector('[data-map] .cursors').focus()")
    browser.press("Home")
    for _ in range(6):
        browser.press("ArrowUp")
    browser.press("ArrowDown")
    seen = []
    for _ in range(4):
        seen.append(browser.value(CELLS.format(kind="map"))["hidden"][3:])
        browser.press("ArrowRight")

    assert seen[2:] == [["NaN", "NaN"], ["infinite", "+infinite"]]
    assert browser.errors == []


@pytest.mark.parametrize(
    "fragment", [lambda: check_fragment(different()), lambda: trace_fragment(a_traced_model())]
)
def test_fragments_keep_their_style_to_themselves(
    browser: Page, fragment: Callable[[], str], tmp_path: Path
) -> None:
    _show(browser, f"<!doctype html><h2>Other</h2><p>text</p>{fragment()}", tmp_path)

    assert browser.errors == []
    assert browser.value("getComputedStyle(document.querySelector('p')).marginTop") == "16px"
    assert browser.value("document.querySelectorAll('.grubridge svg.plot').length") >= 4
    assert parts(fragment()).named("script") == []
