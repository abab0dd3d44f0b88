"""What every source file keeps to, and what the command line may import."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = {"grubridge": 300, "cli": 300, "tests": 400, "samples": 300, "benchmarks": 300}
OWN = {"grubridge", "cli", "grubridge_cli", "tests", "samples", "benchmarks"}

TYPES_ONLY = {"_typeshed"}  # known to type checkers, never imported


def _sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module


def _distribution(name: str) -> str:
    return name.lower().replace("-", "_")


@pytest.mark.parametrize(("folder", "longest"), LONGEST.items())
def test_files_stay_short(folder: str, longest: int) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources(folder)}

    assert lengths, f"{folder}/ holds no Python file"
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > longest} == {}


def test_command_line_uses_public_names_only() -> None:
    inner = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in _sources("cli")
        for module in _imported_modules(path)
        if module.split(".")[0] in OWN and module != "grubridge"
    }

    assert inner == set()


def test_library_and_command_line_import_declared_packages_only() -> None:
    declared = {_distribution(re.split(r"[^\w-]", line)[0]) for line in requires("grubridge") or []}
    providers = packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for folder in ("grubridge", "cli")
        for path in _sources(folder)
        for module in _imported_modules(path)
        if (name := module.split(".")[0]) not in OWN | sys.stdlib_module_names | TYPES_ONLY
        and declared.isdisjoint(map(_distribution, providers.get(name, [name])))
    }

    assert undeclared == set()


def test_names_are_quoted_by_one_helper() -> None:
    twice = re.compile(r"printable\([^{}]*\)!r|[\"']\{printable\([^{}]*\)\}'")  # doubles or hides escapes
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("grubridge", "cli")
        for path in _sources(folder)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if twice.search(line)
    }

    assert found == set()
