"""What is kept comes back, and nothing that is wrong with a cache is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from grubridge.files.cache import keep, kept

KEY = {"backend": "pytorch", "version": "torch 2.13.0", "gate": {"name": "sigmoid", "alpha": None}}
VALUE = {"device": "cpu", "errors": {"update": 1.8394779623486102}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "not yet there" / "cache"
    monkeypatch.setenv("GRUBRIDGE_CACHE", str(made))
    return made


def _only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_is_kept_comes_back_to_the_last_bit(folder: Path) -> None:
    assert kept(KEY) is None
    keep(KEY, VALUE)

    assert kept(KEY) == VALUE
    assert kept(dict(reversed(KEY.items()))) == VALUE
    assert kept({**KEY, "version": "torch 2.14.0"}) is None
    assert _only_file(folder).suffix == ".json"  # nothing unfinished is left beside it

    keep(KEY, {"device": "cuda"})
    assert kept(KEY) == {"device": "cuda"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"key": ',
        b"[1, 2]",
        b'"text"',
        b'{"key": {"backend": "keras"}, "value": 1}',
        b"[" * 40_000,
        b'{"value": ' + b" " * 70_000 + b"1}",
    ],
    ids=["empty", "not text", "cut off", "a list", "a string", "of another key", "too deep", "too large"],
)
def test_damaged_file_is_as_good_as_none_and_is_replaced(folder: Path, content: bytes) -> None:
    keep(KEY, VALUE)
    _only_file(folder).write_bytes(content)

    assert kept(KEY) is None
    keep(KEY, VALUE)
    assert kept(KEY) == VALUE


def test_folder_that_cannot_be_made_keeps_nothing(folder: Path) -> None:
    folder.parent.write_text("a file where a folder would have to be")
    keep(KEY, VALUE)

    assert kept(KEY) is None


def test_failed_write_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    keep(KEY, VALUE)

    assert list(folder.iterdir()) == []


def test_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("GRUBRIDGE_CACHE", "off")
    keep(KEY, VALUE)

    assert kept(KEY) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/grubridge"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/grubridge"),
        ("linux", {}, ".cache/grubridge"),
        ("darwin", {}, "Library/Caches/grubridge"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local/grubridge/cache"),
        ("win32", {}, "AppData/Local/grubridge/cache"),
    ],
)
def test_place_of_the_cache_on_each_platform(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    for name in ("GRUBRIDGE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    keep(KEY, VALUE)

    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / expected]
    assert kept(KEY) == VALUE


def test_no_home_folder_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("GRUBRIDGE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    keep(KEY, VALUE)

    assert kept(KEY) is None
