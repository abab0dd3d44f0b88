"""The names of a TensorFlow checkpoint: every one that a person may type leads to its index."""

from __future__ import annotations

from pathlib import Path

import pytest

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.checkpoint_names import index_of, shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.ckpt.index", "a.ckpt.data-00000-of-00002", "a.ckpt.data-00001-of-00002", "a.ckpt.meta"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a.ckpt-7.data-00000-of-00001").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize("name", ["a.ckpt", "a.ckpt.index", "a.ckpt.data-00001-of-00002"])
def test_prefix_and_files_stand_for_the_index(folder: Path, name: str) -> None:
    assert index_of(folder / name) == folder / "a.ckpt.index"


def test_the_shards_are_those_of_this_prefix(folder: Path) -> None:
    assert [file.name for file in shards(folder / "a.ckpt.index")] == [
        "a.ckpt.data-00000-of-00002",
        "a.ckpt.data-00001-of-00002",
    ]


@pytest.mark.parametrize("name", ["b.ckpt", "a.ckpt.meta", "", "b\0"])
def test_other_names_stand_for_themselves(folder: Path, name: str) -> None:
    assert index_of(folder / name) == folder / name


def test_a_file_that_is_called_as_the_prefix_is_itself(folder: Path) -> None:
    (folder / "a.ckpt").write_bytes(b"x")

    assert index_of(folder / "a.ckpt") == folder / "a.ckpt"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (b'model_checkpoint_path: "a.ckpt"\nall_model_checkpoint_paths: "b"', "a.ckpt.index"),
        (b'model_checkpoint_path: "/gone/since/a.ckpt"', "a.ckpt.index"),
        (b'model_checkpoint_path: "na\\303\\257ve-1"', "na\u00efve-1.index"),
        (b'model_checkpoint_path: "below/a-1.5"', "below/a-1.5.index"),
    ],
)
def test_a_folder_stands_for_its_latest_checkpoint(folder: Path, stored: bytes, expected: str) -> None:
    (folder / "checkpoint").write_bytes(stored)

    assert index_of(folder) == index_of(folder / "checkpoint") == folder / expected


def test_a_checkpoint_outside_the_folder_is_refused(folder: Path) -> None:
    (folder / "checkpoint").write_bytes(b'model_checkpoint_path: "../other/a"')

    with pytest.raises(
        UnsafeFileError, match=r"names a checkpoint outside its folder, '\.\./other/a'; name the"
    ):
        index_of(folder)


@pytest.mark.parametrize("stored", [b"", b"\xff\0 nothing", b'model_checkpoint_path: "'])
def test_a_folder_that_names_no_checkpoint_is_refused(folder: Path, stored: bytes) -> None:
    (folder / "checkpoint").write_bytes(stored)

    with pytest.raises(CorruptFileError, match="it should say model_checkpoint_path: "):
        index_of(folder)
