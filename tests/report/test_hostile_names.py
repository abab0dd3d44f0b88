"""Names that attack, at every place of every result: in each form they are text, as a parser of it reads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import grubridge
from cli.console import json_text, tell
from grubridge.pytest_plugin import _words as plugin_words
from grubridge.report.check.mismatch import mismatch
from grubridge.report.html.check import check_fragment
from grubridge.report.html.trace import trace_fragment
from tests.hostile_names import HOSTILE_NAMES, LONG, has_command, is_inert
from tests.poisoned import poisoned
from tests.report.a_check import a_report
from tests.report.html.pages import a_traced_model, different, parts
from tests.report.suite.a_suite import a_suite, every_status
from tests.report.suite.junit_rules import broken_rules
from tests.report.test_identification import FOUND
from tests.zoo import member

TYPED = {"kernel": [-0.9, 1.0, -0.04], "recurrent_kernel": [0.2, 0.9, 0.4], "bias": [[0, 0, 0], [0, 0, 0.1]]}
NAMES = pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:20])


@pytest.fixture(scope="module", name="results")
def _results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    source = folder / "a.safetensors"
    grubridge.write(member("two_layers_bidirectional"), source)
    story = grubridge.explain(TYPED, "1,2", expect=["0.04"])
    return {
        "check": a_report(),
        "different": different(),
        "suite": a_suite(*every_status(), warnings=("the lock is old",)),
        "trace": a_traced_model(),
        "explanation": story,
        "identification": FOUND,
        "inspection": grubridge.inspect(source),
        "conversion": grubridge.convert(source, folder / "b.onnx"),
        "backends": grubridge.backend_table(),
    }


WITH_LAYOUTS = {"explanation", "identification"}  # whose tensors have braces for layers, and no others
COMMAND = re.compile(r"::(error|warning|notice)( file=[^,:]*)?([ ,](line|title)=[^,:]*)*::.*")
CHECKS = ("check", "different", "suite")


def _poisoned(results: dict[str, Any], kind: str, name: str) -> Any:
    free = re.sub(r"[{}]", "", name) if kind in WITH_LAYOUTS else name
    return poisoned(results[kind], free)


@NAMES
def test_a_terminal_has_nothing_to_obey(name: str, results: dict[str, Any]) -> None:
    for kind in results:
        text = grubridge.render(_poisoned(results, kind, name))
        assert is_inert(text), kind
        assert not has_command(text), kind


@NAMES
def test_json_gives_back_the_very_names(name: str, results: dict[str, Any]) -> None:
    for kind in results:
        told = grubridge.to_json(_poisoned(results, kind, name))
        text = json_text(told)

        assert is_inert(text)
        assert text.isascii()
        assert not has_command(text)
        assert json.loads(text) == json.loads(json.dumps(told))
        assert kind in WITH_LAYOUTS or name in "".join(_texts(json.loads(text)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for one in value.values() for text in _texts(one))]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


@NAMES
def test_junit_is_xml_of_the_same_elements(name: str, results: dict[str, Any]) -> None:
    for kind in CHECKS:
        plain, told = (
            grubridge.render(one, "junit") for one in (results[kind], _poisoned(results, kind, name))
        )
        shapes = [_tags(text) for text in (plain, told)]

        assert shapes[0] == shapes[1]
        assert broken_rules(told) == []
        assert is_inert(told)


def _tags(document: str) -> Counter[str]:
    return Counter(element.tag for element in ET.fromstring(document).iter())  # noqa: S314 - our own


@NAMES
def test_annotations_are_as_many_commands(name: str, results: dict[str, Any]) -> None:
    for kind in CHECKS:
        told = grubridge.render(_poisoned(results, kind, name), "github")
        lines = told.splitlines()

        assert is_inert(told)
        assert len(lines) == len(grubridge.render(results[kind], "github").splitlines())
        for line in lines:
            assert re.fullmatch(r"::(error|warning|notice)( file=[^,]*)?(,?(line|title)=[^,]*)*::.*", line), (
                line
            )
            assert len(line) < 2000


@cache
def _markdown_reader() -> Any:
    return pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _shape(text: str) -> Counter[str]:
    """The elements of a Markdown text that do more than to show characters."""
    tokens = _markdown_reader().parse(text)
    inner = [child for token in tokens for child in token.children or ()]
    shown = {"text", "code_inline", "softbreak", "inline", "text_special"}
    return Counter(token.type for token in [*tokens, *inner] if token.type not in shown)


@pytest.mark.parametrize("kind", [*CHECKS, "explanation"])
def test_markdown_has_the_same_elements(kind: str, results: dict[str, Any]) -> None:
    plain = _shape(grubridge.render(results[kind], "markdown"))
    for name in HOSTILE_NAMES[:-1]:  # what is too long for a summary is left out of it
        told = grubridge.render(_poisoned(results, kind, name), "markdown")

        assert is_inert(told)
        assert _shape(told) == plain, ascii(name)
        # GitHub makes links of bare addresses, which this parser does not
        bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)|<code>.*?</code>", "", told, flags=re.DOTALL)
        assert not re.search(r"\w://|www\.|(?<!\\)@", bare), ascii(name)


@NAMES
def test_latex_has_no_command_of_a_name(name: str, results: dict[str, Any]) -> None:
    def commands(text: str) -> set[str]:
        return set(re.findall(r"\\([a-zA-Z]+|.)", text))

    told = grubridge.render(_poisoned(results, "explanation", name), "latex")
    ours = commands(grubridge.render(results["explanation"], "latex"))
    escapes = {"textbackslash", "textasciitilde", "textasciicircum", *"{}$%&#_ "}

    assert is_inert(told)
    assert commands(told) <= ours | escapes | {"textbar", "textless", "textgreater"}
    assert re.sub(r"\\[{}]", "", told).count("{") == re.sub(r"\\[{}]", "", told).count("}")


PAGES: dict[str, Callable[[Any], str | None]] = {
    "check": lambda one: grubridge.render(one, "html"),
    "different": lambda one: grubridge.render(one, "html"),
    "suite": lambda one: grubridge.render(one, "html"),
    "trace": lambda one: grubridge.render(one, "html"),
    "check in a notebook": check_fragment,
    "trace in a notebook": trace_fragment,
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_has_the_same_elements(kind: str, results: dict[str, Any]) -> None:
    result = kind.split(maxsplit=1)[0]
    plain = parts(str(PAGES[kind](results[result])))
    for name in HOSTILE_NAMES:
        page = str(PAGES[kind](_poisoned(results, result, name)))
        told = parts(page)

        assert is_inert(page)
        assert page.isascii() or page.encode()
        assert len(told.named("script")) == len(plain.named("script"))
        assert {tag for tag, _ in told.elements} <= {tag for tag, _ in plain.elements}, ascii(name)
        for tag, attributes in told.elements:
            assert not [one for one in attributes if one.startswith("on")], tag
            assert (attributes.get("src") or attributes.get("href") or "data:").startswith(("data:", "#"))
        assert told.held["style"] == plain.held["style"]


@NAMES
def test_an_error_is_a_sentence(name: str, tmp_path: Path) -> None:
    """About a file of that name, or a GRU of that name in one."""
    path = tmp_path / "model.safetensors"
    grubridge.write(member("reset_after"), path)
    for wrong in (
        lambda: grubridge.read(path, name or "none"),
        lambda: grubridge.read(tmp_path / f"{name}.pt"),
        lambda: grubridge.verify(path, device=name),
        lambda: grubridge.verify(path, path, mapping={name: name}),
        lambda: grubridge.trace(path, backend=name or "none"),
        lambda: grubridge.convert(path, tmp_path / f"target.{name}"),
        lambda: grubridge.explain(path, name),
        lambda: grubridge.read(path, hints=grubridge.ReadHints(layout=name)),
    ):
        with pytest.raises(grubridge.GRUBridgeError) as caught:
            wrong()
        assert is_inert(str(caught.value))
        assert len(str(caught.value)) < 3000


@NAMES
def test_messages_on_stderr(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(f"error: {name}\n{name}")

    told = capsys.readouterr().err
    assert is_inert(told)
    assert not has_command(told)


@NAMES
def test_the_words_of_a_failing_test(name: str, results: dict[str, Any]) -> None:
    for kind in ("check", "different"):
        words = mismatch(_poisoned(results, kind, name))
        assert is_inert(words)
        assert not has_command(words)
    for result in _poisoned(results, "suite", name).results:
        words = plugin_words(result)
        assert is_inert(words)
        assert not has_command(words)


def test_every_kind_of_name_is_there() -> None:
    """The table is what the tests stand on: it holds what each reader would obey."""
    everything = "".join(HOSTILE_NAMES)
    for attack in ("\x1b[", "\x9b", "\u202e", "\u200b", "\r\n::", "\u2028", "\ud800", "]]>", "<script>", "|",
                   "`", "::error", "%0A", "\\input", "{{"):  # fmt: skip
        assert attack in everything
    assert len(LONG) > 100_000
