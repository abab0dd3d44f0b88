"""The published JSON Schema gives the same answers as the reader, as far as a schema can."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grubridge.backends.registry import BACKENDS
from grubridge.files.plain_data import field_names
from grubridge.suite import reading
from grubridge.suite.manifest import Pair
from tests.suite.manifests import GOOD, WRONG

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = json.loads(Path(reading.__file__).with_name("schema.json").read_text(encoding="utf-8"))


@pytest.fixture(name="is_valid")
def _is_valid() -> Callable[[dict[str, Any]], bool]:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    check: Callable[[dict[str, Any]], bool] = jsonschema.Draft202012Validator(SCHEMA).is_valid
    return check


def test_a_right_manifest_is_valid(is_valid: Callable[[dict[str, Any]], bool]) -> None:
    assert is_valid(tomllib.loads(GOOD))


@pytest.mark.parametrize("case", WRONG)
def test_wrong_manifests_are_not(case: str, is_valid: Callable[[dict[str, Any]], bool]) -> None:
    assert is_valid(tomllib.loads(WRONG[case].text)) != WRONG[case].by_schema


def test_it_knows_every_key() -> None:
    defined = SCHEMA["$defs"]

    assert set(defined["pair"]["properties"]) == field_names(Pair) - {"folder", "line"} | {"a", "b"}
    assert set(SCHEMA["properties"]["defaults"]["properties"]) == reading.SHARED
    assert defined["backends"]["anyOf"][0]["enum"] == list(BACKENDS)
    assert defined["backends"]["anyOf"][1]["items"]["enum"] == list(BACKENDS)
