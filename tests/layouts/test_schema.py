"""The published JSON Schema gives the same answers as the loader, as far as a schema can."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grubridge.layouts import toml
from grubridge.layouts.toml import SHIPPED, shipped
from tests.layouts.descriptions import GOOD, WRONG

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = Path(toml.__file__).with_name("schema.json")


@pytest.fixture(name="is_valid")
def _is_valid() -> Callable[[dict[str, Any]], bool]:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    check: Callable[[dict[str, Any]], bool] = jsonschema.Draft202012Validator(schema).is_valid
    return check


@pytest.mark.parametrize("name", shipped())
def test_shipped_layouts_are_valid(name: str, is_valid: Callable[[dict[str, Any]], bool]) -> None:
    text = (SHIPPED / f"{name}.toml").read_text(encoding="utf-8")

    assert is_valid(tomllib.loads(text))
    assert is_valid(tomllib.loads(GOOD))


@pytest.mark.parametrize("case", WRONG)
def test_wrong_descriptions_are_not(case: str, is_valid: Callable[[dict[str, Any]], bool]) -> None:
    assert is_valid(tomllib.loads(WRONG[case].text)) != WRONG[case].by_schema
