"""Results in notebooks, and what is said where Jinja2 is not installed."""

from __future__ import annotations

import sys

import pytest

from grubridge.errors import MissingDependencyError
from grubridge.report import render
from grubridge.report.html import check_fragment, page, suite_fragment, trace_fragment
from tests.report.html.pages import a_traced_model, different
from tests.report.suite.a_suite import a_suite, every_status


@pytest.fixture
def no_jinja2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._environment.cache_clear()


def test_results_show_themselves_as_fragments() -> None:
    assert different()._repr_html_() == check_fragment(different())
    assert a_traced_model()._repr_html_() == trace_fragment(a_traced_model())

    suite = a_suite(*every_status())
    assert suite._repr_html_() == suite_fragment(suite)
    assert all(result.name in suite_fragment(suite) for result in suite.results)


@pytest.mark.usefixtures("no_jinja2")
def test_without_jinja2_the_extra_is_named_and_notebooks_show_text() -> None:
    with pytest.raises(
        MissingDependencyError, match=r"an HTML page needs Jinja2.*'grubridge\[report\]'"
    ) as caught:
        render(different(), "html")

    assert caught.value.extra == "report"
    assert different()._repr_html_() is None
    assert a_traced_model()._repr_html_() is None
    assert a_suite(*every_status())._repr_html_() is None
