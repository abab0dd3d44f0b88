"""What the schema of Jenkins's xUnit plugin, junit-10.xsd, says of the elements that are used here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

__all__ = ["broken_rules"]

_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
_REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "property": {"name", "value"},
}
_OPTIONAL = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "group"},
    "testcase": {"time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
}
_TEXT = {"failure", "error", "skipped", "system-out", "system-err"}
_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def broken_rules(document: str) -> list[str]:
    """Return what a validator would complain of; a document that is no XML raises ParseError."""
    root = ET.fromstring(document)  # noqa: S314 - our own document
    if root.tag != "testsuites":
        return [f"the root is {root.tag}"]
    return list(_broken(root))


def _broken(element: ET.Element) -> Iterator[str]:
    tag, given = element.tag, set(element.attrib)
    required, optional = _REQUIRED.get(tag, set()), _OPTIONAL.get(tag, set())
    yield from (f"{tag} lacks {name}" for name in sorted(required - given))
    yield from (f"{tag} has {name}" for name in sorted(given - required - optional))
    if not _TIME.fullmatch(element.get("time", "")):
        yield f"{tag} took {element.get('time')}"
    if tag not in _TEXT and (element.text or "").strip():
        yield f"{tag} holds text"
    for child in element:
        if child.tag not in _CHILDREN.get(tag, set()):
            yield f"{tag} holds {child.tag}"
        if (child.tail or "").strip():
            yield f"{tag} holds text"
        yield from _broken(child)
