"""--format, -o and --html: several forms at once, in files, in a pipe, on a terminal and in ASCII.

Two GRUs of different sizes are DIFFERENT without any runtime, so these run everywhere.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
import typer

import grubridge as library
from cli.outputs import Outputs, outputs
from tests.cli.command import Ended, grubridge
from tests.report.suite.a_suite import a_suite, every_status
from tests.report.suite.junit_rules import broken_rules
from tests.zoo import make_spec

VERDICT = "DIFFERENT: these GRUs are not of one shape"
FORMS = ["text", "json", "junit", "markdown", "github"]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> tuple[Path, Path]:
    return _two_sizes(tmp_path, "small", "large")


def _two_sizes(folder: Path, *names: str) -> tuple[Path, Path]:
    small, large = (folder / f"{name}.safetensors" for name in names)
    library.write(make_spec("small", sizes=(2, 3)), small)
    library.write(make_spec("large", sizes=(2, 5)), large)
    return small, large


def test_several_forms_at_once(pair: tuple[Path, Path], tmp_path: Path) -> None:
    files = {form: tmp_path / f"report.{form}" for form in FORMS}
    ended = grubridge("verify", *pair, *(f"--format={form}={path}" for form, path in files.items()))
    written = {form: path.read_text(encoding="utf-8") for form, path in files.items()}

    assert (ended.code, ended.stderr) == (1, "")
    assert ended.stdout == written["text"]
    assert written["text"].splitlines()[-1] == VERDICT
    assert json.loads(written["json"])["verdict"] == "DIFFERENT"
    assert broken_rules(written["junit"]) == []
    assert written["markdown"].startswith("### grubridge: DIFFERENT\n")
    assert written["github"].startswith("::error file=")
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_the_same_on_stdout_and_in_a_file(
    form: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    printed = grubridge("verify", *pair, "--format", form)
    kept = grubridge("verify", *pair, "--format", form, "-o", tmp_path / "out")

    assert (printed.code, printed.stderr) == (1, "")
    assert (tmp_path / "out").read_text(encoding="utf-8") == printed.stdout
    assert kept == Ended(1, "", f"{VERDICT}\n")


def test_json_is_the_old_option(pair: tuple[Path, Path]) -> None:
    assert grubridge("verify", *pair, "--json") == grubridge("verify", *pair, "--format", "json")


def test_files_are_written_though_nobody_reads_stdout(pair: tuple[Path, Path], tmp_path: Path) -> None:
    command = [
        Path(sys.executable).with_name("grubridge"),
        "verify",
        *pair,
        f"--format=junit={tmp_path / 'j.xml'}",
    ]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        running.wait(timeout=60)
        assert running.stderr is not None
        assert running.stderr.read() == b""

    assert running.returncode in {1, 141}
    assert broken_rules((tmp_path / "j.xml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "xml"], "--format is one of text, json, junit, markdown, github, html; received 'xml'"),
        (["--format", "junit="], "--format junit= names no file; is the variable set that should name it?"),
        (["--format", "json", "--format", "text"], "stdout takes one of json, text; give the others a file"),
        (["--format", "json", "--json"], "stdout takes one of json, json; give the others a file"),
        (
            ["--format", "json=OUT", "--format", "junit=OUT"],
            "two forms would be written to OUT; give each a file",
        ),
        (["--format", "json=OUT", "-o", "./OUT"], "two forms would be written to OUT; give each a file"),
        (["--format", "json=-"], "- is no file; a --format without =PATH is printed on stdout"),
        (["--format", "json=."], ". is a folder; name a file in it"),
        (["-o", "none/out"], "none/out: the folder none does not exist; create it first"),
        (["--format", "junit=small.safetensors"], "small.safetensors is read by this run, and no report may"),
        (["-o", "large.safetensors"], "large.safetensors is read by this run, and no report may replace it"),
        (["--inputs", "x.npy", "-o", "x.npy"], "x.npy is read by this run, and no report may replace it"),
        (
            ["--fix", "n.pt", "--format", "junit=OUT"],
            "--fix prints text or JSON; other forms and files are for",
        ),
        (
            ["--fix", "n.pt", "--format", "github"],
            "--fix prints text or JSON; other forms and files are for a",
        ),
        (["--force"], "--force is for --fix NEW; a report is replaced without it"),
    ],
)
def test_what_cannot_be_written_is_refused_first(
    options: list[str], said: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    ended = grubridge("verify", *(path.name for path in pair), *options, cwd=tmp_path)

    assert ended.code == 2
    assert said in " ".join(ended.stderr.split())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("option", [["--json"], ["--format", "json"], ["--format=json"]])
def test_a_wrong_option_is_told_in_json_too(option: list[str], pair: tuple[Path, Path]) -> None:
    ended = grubridge("verify", *pair, *option, "--batch", "0")

    assert ended.code == 2
    assert json.loads(ended.stdout)["error"]["kind"] == "BadParameter"


def test_an_unreadable_file_is_told_in_json_where_json_is_printed(tmp_path: Path) -> None:
    missing, out = tmp_path / "missing.pt", tmp_path / "out.json"
    printed = grubridge("verify", missing, "--format", "json")
    kept = grubridge("verify", missing, "--format", "json", "-o", out)

    assert json.loads(printed.stdout)["error"]["kind"] == "FileFormatError"
    assert (printed.code, kept.code, kept.stdout) == (2, 2, "")
    assert out.read_text(encoding="utf-8") == printed.stdout


def test_a_page_needs_jinja(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cli.outputs.find_spec", lambda name: None if name == "jinja2" else object())

    assert "html" not in outputs(["json"])
    with pytest.raises(
        library.MissingDependencyError, match=r"needs jinja2, .*: pip install 'grubridge\[report\]'"
    ):
        outputs(None, html=tmp_path / "page.html")


@pytest.mark.parametrize("option", ["--html={}", "--format=html={}"])
def test_a_page_stands_beside_the_text(option: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    ended = grubridge("verify", *pair, option.format(page))

    assert (ended.code, ended.stdout.splitlines()[-1]) == (1, VERDICT)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_is_replaced_at_once_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text("old")
    wanted, suite = Outputs("text", None, (("junit", path),)), a_suite(*every_status())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(
            library.TargetError, match=r"report\.xml: it cannot be written: No space left on dev"
        ):
            wanted.write(suite)
    assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "old")

    wanted.write(suite)
    assert (list(tmp_path.iterdir()), broken_rules(path.read_text())) == ([path], [])
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.xml", tmp_path / "link.xml"
    real.write_text("old")
    link.symlink_to(real)
    Outputs("text", link, ()).write(a_suite(*every_status()))

    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("status ")


def test_a_pipe_is_written_to_and_not_replaced(pair: tuple[Path, Path]) -> None:
    ended = grubridge("verify", *pair, "--format", "github=/dev/stderr", "--format", "json=/dev/null")

    assert ended.stdout.splitlines()[-1] == VERDICT
    assert ended.stderr.startswith("::error file=")
    assert Path("/dev/null").is_char_device()


def test_the_summary_of_a_job_is_added_to(pair: tuple[Path, Path], tmp_path: Path) -> None:
    summary, other = tmp_path / "summary.md", tmp_path / "other.md"
    other.write_text("old\n")
    options = ["--format", f"markdown={summary}", "--format", f"markdown={other}"]
    for _ in range(2):
        grubridge("verify", *pair, *options, GITHUB_STEP_SUMMARY=str(summary))
    alone = other.read_text(encoding="utf-8")

    assert alone.startswith("### grubridge: DIFFERENT\n")
    assert summary.read_text(encoding="utf-8") == alone + alone


@pytest.mark.parametrize("form", FORMS)
def test_ascii_pipes_take_every_form(form: str, tmp_path: Path) -> None:
    pair = _two_sizes(tmp_path, "mod\u00e8le", "\u6a21\u578b")
    ended = grubridge(
        "verify", *pair, "--format", form, PYTHONIOENCODING="ascii", PYTHONUTF8="0", COLUMNS="60"
    )

    assert (ended.code, ended.stderr) == (1, "")
    assert ended.stdout.isascii()
    if form == "json":
        assert [one["path"] for one in json.loads(ended.stdout)["artifacts"]] == list(map(str, pair))
    elif form == "junit":
        case = ET.fromstring(ended.stdout).find("testsuite/testcase")  # noqa: S314 - our own document
        assert case is not None
        assert "mod\u00e8le.safetensors" in case.attrib["name"]
    else:
        assert "mod\\xe8le.safetensors" in ended.stdout


@pytest.mark.parametrize("form", FORMS)
def test_hostile_file_names_do_nothing(form: str, tmp_path: Path) -> None:
    names = "\x1b[31m]]>|`x`<b>\n::error::boom\r", "\u202e::stop-commands::e\x07"
    ended = grubridge("verify", *_two_sizes(tmp_path, *names), "--format", form, cwd=tmp_path)
    lines = ended.stdout.splitlines()

    assert (ended.code, ended.stderr) == (1, "")
    assert all(character == "\n" or character.isprintable() for character in ended.stdout)
    assert [line[:8] for line in lines if line.lstrip().startswith("::")] == ["::error "] * (form == "github")
    if form == "junit":
        assert broken_rules(ended.stdout) == []
    if form == "json":
        assert names[0] in json.loads(ended.stdout)["artifacts"][0]["path"]


def _on_a_terminal(*arguments: object, **environment: str) -> str:
    """What a terminal of 60 columns is sent."""
    master, terminal = pty.openpty()
    command = [str(Path(sys.executable).with_name("grubridge")), *map(str, arguments)]
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        command,
        stdout=terminal,
        stderr=terminal,
        env={**plain, "TERM": "xterm", "COLUMNS": "60", **environment},
    ) as running:
        os.close(terminal)
        sent = b""
        try:
            while part := os.read(master, 65536):
                sent += part
        except OSError:  # the other side has closed
            pass
        running.wait(timeout=60)
    os.close(master)
    return sent.decode("utf-8").replace("\r\n", "\n")


@pytest.mark.parametrize("form", FORMS)
def test_a_terminal_gets_what_a_pipe_gets(form: str, pair: tuple[Path, Path]) -> None:
    piped = grubridge("verify", *pair, "--format", form, COLUMNS="60").stdout

    assert _on_a_terminal("verify", *pair, "--format", form, NO_COLOR="1") == piped
    assert _on_a_terminal("verify", *pair, "--format", form) == piped.replace(
        VERDICT, f"\x1b[31m\x1b[1m{VERDICT}\x1b[0m" if form == "text" else VERDICT
    )


def test_verdicts_of_a_suite_are_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.console import highlighted

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    text = library.render(a_suite(*every_status()))
    coloured = highlighted(text).splitlines()

    assert "\x1b[31m\x1b[1mTROUBLE                 -  pointer\x1b[0m" in coloured
    assert "\x1b[32m\x1b[1mEQUIVALENT           0.75  good\x1b[0m" in coloured
    assert coloured[-1].startswith("\x1b[31m\x1b[1mTROUBLE: 8 pairs of ")
    assert [line for line in coloured if "\x1b" not in line] == [
        line for line in text.splitlines() if not line.startswith(("TR", "DI", "XP", "XF", "IN", "EQ"))
    ]


def test_a_real_difference_in_every_form(torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path) -> None:
    del torch, onnxruntime  # only to skip where they are missing
    source, other = tmp_path / "source.pt", tmp_path / "other.onnx"
    library.write(make_spec("one", seed=1), source)
    library.write(make_spec("one", seed=2), other)
    ended = grubridge("verify", source, other, "--format=json", f"--format=junit={tmp_path / 'j.xml'}")
    document = json.loads(ended.stdout)
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]  # noqa: S314 - our own document
    properties = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    headrooms = [one["headroom"] for one in (*document["comparisons"], *document["sensitivity"])]

    assert ended.code == 1
    assert float(properties["headroom"]) == max(headroom for headroom in headrooms if headroom is not None)
    assert properties["status"] == "different"


def test_options_are_refused_as_typer_does() -> None:
    with pytest.raises(typer.BadParameter, match="give the others a file: --format text=PATH"):
        outputs(["github", "text"])


def test_what_cannot_be_read_is_in_every_form(pair: tuple[Path, Path], tmp_path: Path) -> None:
    files = {form: tmp_path / f"report.{form}" for form in [*FORMS, "html"]}
    pytest.importorskip("jinja2")
    forms = [f"--format={form}={path}" for form, path in files.items()]
    ended = grubridge("verify", pair[0], tmp_path / "gone.onnx", *forms, "--format", "github")
    written = {form: path.read_text(encoding="utf-8") for form, path in files.items()}
    words = f"{tmp_path / 'gone.onnx'}: there is no such file"

    assert (ended.code, ended.stderr) == (2, f"error: {words}\n")
    assert ended.stdout == written["github"]
    assert ended.stdout.startswith("::error ")
    assert broken_rules(written["junit"]) == []
    (error,) = ET.fromstring(written["junit"]).iter("error")  # noqa: S314 - our own document
    assert error.get("message") == words
    assert json.loads(written["json"])["error"] == {"kind": "FileFormatError", "message": words}
    assert written["text"].splitlines()[-1].startswith("TROUBLE: ")
    assert all(words in " ".join(written[form].split()) for form in ("markdown", "html", "text"))


def test_a_manifest_that_is_wrong_is_in_the_report_too(tmp_path: Path) -> None:
    (tmp_path / "grubridge.toml").write_text("version = 1\npear = 2\n", encoding="utf-8")
    ended = grubridge("check", tmp_path / "grubridge.toml", f"--format=junit={tmp_path / 'j.xml'}")
    (error,) = ET.parse(tmp_path / "j.xml").getroot().iter("error")  # noqa: S314 - our own document

    assert ended.code == 2
    assert f"error: {error.get('message')}" in ended.stderr
    assert "pair" in str(error.text)


def test_a_wrong_pyproject_is_what_the_annotation_names(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.grubridge]\nversion = 2\n", encoding="utf-8")
    ended = grubridge("check", "--format", "github", cwd=tmp_path)

    assert ended.code == 2
    assert ended.stdout.startswith("::error file=pyproject.toml,title=pyproject.toml%3A trouble::")


def test_no_report_replaces_what_the_manifest_names(pair: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = pair
    (tmp_path / "grubridge.toml").write_text(
        f'version = 1\n[[pair]]\nartifacts = ["{small.name}", "{large.name}"]\n', encoding="utf-8"
    )
    before = large.read_bytes()
    os.link(large, tmp_path / "link.xml")
    ended = grubridge("check", tmp_path / "grubridge.toml", f"--format=junit={tmp_path / 'link.xml'}")

    assert ended.code == 2
    assert "is read by this run" in " ".join(ended.stderr.replace("│", " ").split())
    assert large.read_bytes() == before


@pytest.mark.parametrize("name", ["grubridge.toml", "pyproject.toml", "grubridge.lock.json"])
@pytest.mark.parametrize("text", ["version = 1\n", "no TOML"])
def test_no_report_replaces_the_manifest_or_its_lock(name: str, text: str, tmp_path: Path) -> None:
    for path in ("grubridge.toml", "pyproject.toml", "grubridge.lock.json"):
        (tmp_path / path).write_text(text, encoding="utf-8")
    ended = grubridge("check", "-o", f"./{name}", cwd=tmp_path)

    assert ended.code == 2
    assert f"{name} is read by this run" in " ".join(ended.stderr.split())
    assert (tmp_path / name).read_text(encoding="utf-8") == text
