"""CHANGELOG.md keeps its form, and its newest version is the one that `--version` states."""

import re
from pathlib import Path

from grubridge import __version__
from tests.cli.command import grubridge

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)

    assert text.startswith("# Changelog\n")
    assert versions[:2] == ["Unreleased", __version__]
    assert len(set(versions)) == len(versions)
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS


def test_the_command_states_the_same_version() -> None:
    assert grubridge("--version").stdout == f"grubridge {__version__}\n"
