"""The terminal: results on stdout, everything else on stderr, exit codes, and the boundary for errors.

Exit codes: 0 done or equivalent, 1 different and nothing else, 2 could not be done, 3 inconclusive,
70 a defect of grubridge, 130 interrupted, 143 terminated, 141 the reader of our output went away.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from .interrupts import stop_if_asked

COULD_NOT = 2
DEFECT = 70
PIPE_CLOSED = 141
_BLOCKS, _ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-:=+*#"
_COLOURS = {
    "EQUIVALENT": "green",
    "PASSED": "green",
    "DIFFERENT": "red",
    "TROUBLE": "red",
    "XPASSED": "red",
    "INCONCLUSIVE": "yellow",
    "XFAILED": "yellow",
}
_VERDICT = re.compile(r"([A-Z]+)(: |  ).*", re.DOTALL)


class Output:
    """Whether this run prints one JSON document on stdout. Set by a command before it works."""

    as_json = False


def say(text: str) -> None:
    """Write `text` to stdout; a reader that went away ends the run quietly, a full disk with a message."""
    try:
        sys.stdout.write(_writable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        # the interpreter flushes stdout once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)
    except OSError as error:
        tell(f"error: stdout cannot be written to: {error.strerror or error}")
        sys.exit(COULD_NOT)


def _writable(text: str) -> str:
    """Return the text with sparklines that stdout can show; the stream escapes other odd characters."""
    try:
        _BLOCKS.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return text.translate(str.maketrans(_BLOCKS, _ASCII_BLOCKS))
    return text


def json_text(document: dict[str, Any]) -> str:
    """Return a JSON document as it is printed: ASCII, no number that JSON has not, no command of CI."""
    return json.dumps(document, indent=2, allow_nan=False).replace("##[", r"#\u0023[") + "\n"


def say_json(document: dict[str, Any]) -> None:
    """Write one JSON document to stdout."""
    say(json_text(document))


def error_document(error: Exception, message: str) -> dict[str, Any]:
    """Return what JSON says in the place of a result."""
    return {"schema_version": 1, "error": {"kind": type(error).__name__, "message": message}}


def show(result: object, *, json: bool) -> None:
    """Write a result to stdout, as text or as one JSON document."""
    from grubridge import render, to_json

    if json:
        say_json(to_json(result))
    else:
        say(highlighted(render(result)))


def exit_code(verdict: object) -> int:
    """Return the exit code of a verdict: 0 equivalent, 1 different, 3 inconclusive."""
    from grubridge import Verdict

    return {Verdict.EQUIVALENT: 0, Verdict.DIFFERENT: 1, Verdict.INCONCLUSIVE: 3}[Verdict(verdict)]


def tell(message: str) -> None:
    """Write a message to stderr, in which a terminal or a CI log has nothing to obey."""
    from grubridge import inert_lines

    with suppress(OSError):  # where nobody can be told, the exit code is left
        sys.stderr.write(inert_lines(message) + "\n")


def highlighted(text: str) -> str:
    """Return a report with its verdicts in colour, when stdout is a terminal that wants colour."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    import typer

    lines = text.split("\n")
    for index, line in enumerate(lines):
        found = _VERDICT.fullmatch(line)
        if found is not None and found[1] in _COLOURS:
            lines[index] = typer.style(line, fg=_COLOURS[found[1]], bold=True)
    return "\n".join(lines)


def run_guarded(command: Callable[[], object]) -> int:
    """Run the command line and return its exit code: of what it returns, a code or None, or raises."""
    warnings.showwarning = lambda message, *_, **__: tell(f"warning: {message}")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed when this run began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        # an ASCII pipe must not break a message that names a file with other letters
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _ended(command)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else COULD_NOT


def _ended(command: Callable[[], object]) -> int:
    try:
        code = command()
    except Exception as error:  # noqa: BLE001 - the boundary: every exception becomes an exit code
        stop_if_asked()
        return _explain(error)
    return code if isinstance(code, int) else 0


def end_cleanly_on_truncation() -> None:
    """Let a file that is cut off while it is read be an error, in the place of a crash."""
    from grubridge import end_on_truncation

    end_on_truncation(_explain)


def leave(code: int) -> NoReturn:
    """End the process at once: what the interpreter would tidy up first takes as long as a small conversion.

    Whatever has to be ended or removed was so when the command returned.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or PIPE_CLOSED
    os._exit(code)


def _asks_for_json(arguments: Sequence[str]) -> bool:
    return re.search(r" --(json|format[ =]json)( |$)", " ".join(arguments)) is not None


def _explain(error: Exception) -> int:
    from grubridge import GRUBridgeError

    message = str(error)
    usage = getattr(
        error, "format_message", None
    )  # typer's own errors; where their class lives is its affair
    if usage is not None:
        message, code = usage(), COULD_NOT
        with suppress(OSError):
            error.show()  # type: ignore[attr-defined]
    elif isinstance(error, GRUBridgeError):
        tell(f"error: {error}")
        code = COULD_NOT
    elif isinstance(error, OSError) and error.filename is not None:
        tell(f"error: {error.filename}: {error.strerror}")
        code = COULD_NOT
    elif isinstance(error, MemoryError):
        tell(f"error: not enough memory: {error}; close other programs, or give it less at once")
        code = COULD_NOT
    else:
        import traceback

        with suppress(OSError):
            traceback.print_exception(error)
        tell("error: this is a defect of grubridge; please report it with the lines above")
        code = DEFECT
    if Output.as_json or (usage is not None and _asks_for_json(sys.argv)):  # raised before a command began
        say_json(error_document(error, message))
    return code
