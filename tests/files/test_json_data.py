"""JSON out of files: what parsers disagree about, and what would exhaust one, is refused."""

import pytest

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.json_data import LARGEST_JSON, parse_json


def test_json_is_parsed() -> None:
    assert parse_json('{"a": [1, 2.5, null, "\\u00fc"]}', "file") == {"a": [1, 2.5, None, "ü"]}
    assert parse_json("[ü]".replace("ü", '"ü"').encode(), "file") == ["ü"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        ("[Infinity]", "Infinity is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ("[1, -2e999]", "-2e999 is larger than any float"),
        ("[" + "9" * 4000 + "]", "a number of 4000 digits"),
        ("nonsense", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_parsers_disagree_about_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorruptFileError) as caught:
        parse_json(text, "file.keras, config.json")

    assert str(caught.value) == (
        f"file.keras, config.json: expected JSON; received something else ({message}); the file is damaged"
    )


def test_nesting_has_a_limit() -> None:
    parse_json("[" * 200 + "]" * 200, "file")
    for depth in (201, 100_000):
        with pytest.raises(UnsafeFileError, match=r"^file: JSON nested more than 200 levels deep"):
            parse_json("[" * depth + "]" * depth, "file")


def test_size_has_a_limit() -> None:
    with pytest.raises(UnsafeFileError, match=r"^file: its JSON would take 16 MiB of memory, more than"):
        parse_json(b" " * (LARGEST_JSON + 1), "file")


def test_a_repeated_key_among_many_is_found_at_once() -> None:
    """Counting each key took minutes."""
    keys = ",".join(f'"key{number}":0' for number in range(200_000))

    with pytest.raises(CorruptFileError, match="the key 'key199999' is there twice"):
        parse_json(f'{{{keys},"key199999":1}}', "file")
