"""A suite as JUnit XML: a test suite of one test case for every pair, its numbers as properties.

The schema that Jenkins's xUnit plugin publishes has properties in a test suite and not in a test case, which
every reader understands; so each pair is a suite of its own. Times are left out, so that the same result is
the same file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.suite.result import PairResult, PairStatus, SuiteReport

from .words import NOTHING, counted, details, headline, named, sentence

__all__ = ["junit"]

_ELEMENTS: dict[PairStatus, str] = {
    "different": "failure",
    "xpassed": "failure",
    "trouble": "error",
    "inconclusive": "error",
    "xfailed": "skipped",
}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: SuiteReport) -> str:
    """Return the document, in ASCII: other letters are character references, and the file is UTF-8 too."""
    results = report.results or (PairResult(NOTHING, (), "trouble", trouble=counted(report)),)
    suites = ET.Element("testsuites", {"name": "grubridge", **_counts(*results)})
    suites.extend(_suite(result, report.manifest) for result in results)
    ET.indent(suites)
    body = ET.tostring(suites, encoding="us-ascii", xml_declaration=False).decode("ascii")
    body = body.replace("##[", "##&#91;")  # in the log of a job on GitHub it would be a command
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _counts(*results: PairResult) -> dict[str, str]:
    elements = [_ELEMENTS.get(result.status) for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
    }


def _suite(result: PairResult, manifest: str) -> ET.Element:
    element = _ELEMENTS.get(result.status)
    skipped = {"skipped": str(int(element == "skipped"))}
    suite = ET.Element("testsuite", {"name": _xml(named(result.name)), **_counts(result), **skipped})
    if manifest:
        suite.set("file", _xml(manifest))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result):
        ET.SubElement(properties, "property", {"name": name, "value": _xml(sentence(str(value)))})
    about = {"classname": "grubridge.check", "name": _xml(named(result.name))}
    case = ET.SubElement(suite, "testcase", about)
    if element is not None:
        said = {"type": result.status, "message": _xml(headline(result))}
        ended = ET.SubElement(case, element, said)
        ended.text = _xml("\n".join(details(result))) if element != "skipped" else None
    return suite


def _properties(result: PairResult) -> Iterator[tuple[str, object]]:
    yield "status", result.status
    yield from (("artifact", one) for one in result.artifacts)
    if result.headroom is not None:
        yield "headroom", result.headroom
    if result.report is not None:
        yield from _numbers(result.report)
    if result.cause is not None:
        yield "cause", result.cause
    yield "locked", str(result.locked).lower()
    yield from (("warning", one) for one in result.warnings)


def _numbers(report: CheckReport) -> Iterator[tuple[str, object]]:
    """The largest error, and where the first difference is."""
    errors = [one.max_abs for one in report.comparisons if one.max_abs is not None]
    if errors:
        yield "max_abs", max(errors, key=lambda error: math.inf if math.isnan(error) else error)
    wrong = next((one for one in report.comparisons if one.verdict is Verdict.DIFFERENT), None)
    if wrong is not None and wrong.worst is not None:
        yield from (("edge", wrong.edge), ("layer", wrong.layer), ("direction", wrong.direction))
        yield from (("quantity", wrong.quantity), ("first_bad_time", wrong.first_bad_time))
        yield from (("worst_time", wrong.worst.time), ("worst_batch", wrong.worst.batch))
        yield "worst_unit", wrong.worst.unit


def _xml(text: str) -> str:
    """Escape what no XML document can hold, in any notation."""
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
