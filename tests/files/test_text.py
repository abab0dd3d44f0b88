"""Names out of files, as messages print them."""

from __future__ import annotations

import ast

import pytest

from grubridge.files.text import inert_lines, nearest, printable, printable_lines, quoted
from tests.hostile_names import HOSTILE_NAMES, has_command, is_inert


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_nothing_in_a_printed_name_is_obeyed(name: str) -> None:
    assert is_inert(printable(name) + quoted(name))
    assert "\n" not in printable(name) + quoted(name)
    assert is_inert(printable_lines(f"{name}\n{name}"))
    assert not has_command(inert_lines(f"{name}\n  {name} {name}"))
    assert len(printable(name)) <= 120
    assert len(quoted(name)) <= 122


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if len(repr(name)) < 120], ids=ascii)
def test_a_quoted_name_is_a_string_of_python(name: str) -> None:
    assert ast.literal_eval(quoted(name)) == name


def test_lines_stay_lines_and_are_not_cut() -> None:
    assert printable_lines(f"a\x1b\n{'b' * 500}\r\n") == f"a\\x1b\n{'b' * 500}\\r\n"


def test_an_escape_has_one_backslash() -> None:
    assert quoted("gru\x1b[31m") == r"'gru\x1b[31m'"
    assert printable("gru\x1b[31m") == r"gru\x1b[31m"
    assert nearest("gru\x1b[3m", ["gru\x1b[31m"]) == r" Did you mean 'gru\x1b[31m'?"


def test_a_long_name_is_cut_inside_its_quotes() -> None:
    assert quoted("gru" * 99, 10) == "'grugrug...'"
    assert printable("gru" * 99, 10) == "grugrug..."
