"""Where a result goes: --format NAME for stdout, --format NAME=PATH for a file beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer

from .console import Output, error_document, highlighted, json_text, say, tell

__all__ = ["Form", "Formats", "Html", "OutputFile", "Outputs", "outputs"]

Form = Literal["text", "json", "junit", "markdown", "github", "html"]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME[=PATH]",
        help="text, json, junit, markdown, github, html; =PATH: a file beside what is printed. Several.",
    ),
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there what would be printed.")
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="A page with pictures: --format html=FILE.")
]

_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True)
class Outputs:
    """What a command makes of its result.

    Args:
        printed: the form for stdout.
        instead: the file that has it in the place of stdout; None for stdout.
        files: further forms, and their files.
    """

    printed: Form
    instead: Path | None
    files: tuple[tuple[Form, Path], ...]

    def spare(self, read: Sequence[Path]) -> None:
        """Refuse to replace any of the files that this run reads.

        Raises:
            typer.BadParameter: when a report would be written to one of them, whatever it is called there.
        """
        for path in (*(path for _, path in self.files), *([self.instead] if self.instead else [])):
            if any(_same(path, source) for source in read):
                raise typer.BadParameter(f"{path} is read by this run, and no report may replace it")

    def __contains__(self, form: Form) -> bool:
        return form == self.printed or any(form == one for one, _ in self.files)

    def write(self, result: object) -> None:
        """Write a CheckReport or a SuiteReport: files first, so that no reader of stdout can stop them.

        With -o, stderr says in a line how it ended.

        Raises:
            TargetError: when a file cannot be written.
        """
        for form, path in self.files:
            _put(path, _document(result, form))
        document = _document(result, self.printed)
        if self.instead is not None:
            _put(self.instead, document)
            tell(_document(result, "text").splitlines()[-1])
        else:
            say(highlighted(document) if self.printed == "text" else document)

    @contextmanager
    def even_of_trouble(self, artifacts: Sequence[Path]) -> Iterator[None]:
        """Let an error within the block reach those who read no stderr: it is a suite of one pair in trouble.

        Text and JSON on stdout are left to the boundary, which has a form of its own for errors.
        """
        from grubridge import GRUBridgeError, PairResult, SuiteReport

        try:
            yield
        except GRUBridgeError as error:
            names = tuple(map(str, artifacts))
            result = PairResult(" = ".join(names), names, "trouble", trouble=str(error))
            report = SuiteReport("", (result,), {})
            document = json_text(error_document(error, str(error)))
            places = [*self.files, *([(self.printed, self.instead)] if self.instead is not None else [])]
            for form, path in places:
                _put(path, document if form == "json" else _document(report, form))
            if self.instead is None and self.printed not in {"text", "json"}:
                say(_document(report, self.printed))
            raise


def outputs(
    formats: Sequence[str] | None,
    output: Path | None = None,
    *,
    json: bool = False,
    html: Path | None = None,
    read: Sequence[Path] = (),
) -> Outputs:
    """Return what the options ask for; called before any work, which nothing here should stop later.

    Args:
        formats: of --format.
        output: of -o.
        json: whether --json was given, which is --format json.
        html: of --html, which is --format html=PATH.
        read: files that this run reads, and that no report may replace.

    Raises:
        typer.BadParameter: when a form is not known, a file cannot be written, or two forms have one place.
        MissingDependencyError: when what makes an HTML page is not installed.
    """
    asked = [_asked(one) for one in formats or ()]
    asked += [("json", None)] if json else []
    asked += [("html", html)] if html is not None else []
    printed = [form for form, path in asked if path is None]
    if len(printed) > 1:
        raise typer.BadParameter(
            f"stdout takes one of {', '.join(printed)}; give the others a file: --format {printed[-1]}=PATH"
        )
    found = Outputs(
        printed[0] if printed else "text",
        output,
        tuple((form, path) for form, path in asked if path is not None),
    )
    found.spare(read)
    _check([path for _, path in found.files] + ([output] if output is not None else []))
    if "html" in found and find_spec("jinja2") is None:
        from grubridge import MissingDependencyError

        hint = "an HTML page needs jinja2, which is not installed: pip install 'grubridge[report]'"
        raise MissingDependencyError(hint, "report")
    Output.as_json = found.printed == "json" and output is None
    return found


def _same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)  # through links of any kind
    return os.path.realpath(path) == os.path.realpath(other)


def _asked(option: str) -> tuple[Form, Path | None]:
    name, equals, path = option.partition("=")
    if name not in get_args(Form):
        raise typer.BadParameter(f"--format is one of {', '.join(get_args(Form))}; received {name!r}")
    if equals and not path:
        raise typer.BadParameter(f"--format {option} names no file; is the variable set that should name it?")
    return cast("Form", name), Path(path) if equals else None


def _check(paths: Sequence[Path]) -> None:
    from grubridge import is_model_name

    taken = set[Path]()
    for path in paths:
        if str(path) == "-":
            raise typer.BadParameter("- is no file; a --format without =PATH is printed on stdout")
        place = Path(os.path.realpath(path))  # resolve() raises where links lead in a circle
        if place in taken:
            raise typer.BadParameter(f"two forms would be written to {path}; give each a file of its own")
        taken.add(place)
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file in it")
        if path.exists() and (is_model_name(path) or is_model_name(place)):
            raise typer.BadParameter(
                f"{path} is there and is called as models are, which no report may replace; name another file"
            )
        if not path.exists() and not place.parent.is_dir():
            raise typer.BadParameter(f"{path}: the folder {path.parent} does not exist; create it first")
        if not os.access(path if path.exists() else place.parent, os.W_OK):
            raise typer.BadParameter(f"{path} cannot be written to")


def _document(result: object, form: Form) -> str:
    from grubridge import render, to_json

    if form == "json":
        return json_text(to_json(result))
    return render(result, form)


def _put(path: Path, text: str) -> None:
    """Write a file, which is the old one or the new one at any time.

    A pipe or a terminal is written to. What a job shows as its summary is added to, as the shell's >> does:
    other commands of the same step write there too.
    """
    from grubridge import TargetError, save_report

    if not _is_summary(path) and (path.is_file() or not path.exists()):
        save_report(text, path)
        return
    try:
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise TargetError(f"{path}: it cannot be written: {error.strerror or error}") from None


def _is_summary(path: Path) -> bool:
    summary = os.environ.get(_SUMMARY)
    return bool(summary) and os.path.realpath(path) == os.path.realpath(str(summary))
