"""Zip archives as data. Whether an archive is right is asked of the standard library's zipfile."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError
from grubridge.files.opening import FileMap, open_for_writing
from grubridge.files.zip_writer import ZipWriter
from grubridge.files.zips import check_crc, read_entry, read_zip

CONTENT = bytes(range(256)) * 40


def _archive(path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("model/data.pkl", b"first")
        archive.writestr("model/weights", CONTENT)
    return path


def _patched(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def _directory(data: bytearray, entry: int) -> int:
    """Where the directory record of the entry starts."""
    at = struct.unpack_from("<I", data, data.rfind(b"PK\5\6") + 16)[0]
    for _ in range(entry):
        at = data.index(b"PK\1\2", at + 1)
    return int(at)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_are_read_as_zipfile_wrote_them(tmp_path: Path, method: int) -> None:
    path = _archive(tmp_path / "a.zip", method)

    entries = read_zip(path)

    assert list(entries) == ["model/data.pkl", "model/weights"]
    assert read_entry(path, entries["model/data.pkl"], 5) == b"first"
    assert read_entry(path, entries["model/weights"], len(CONTENT)) == CONTENT


def test_a_stored_entry_can_be_mapped_in_place(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip")
    entry, file = read_zip(path)["model/weights"], FileMap(path)

    assert file.bytes(entry.offset, entry.size) == CONTENT
    check_crc(file, entry)


def test_a_damaged_stored_entry_fails_its_checksum(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip")
    at = read_zip(path)["model/weights"].offset + 77
    _patched(path, lambda data: data.__setitem__(at, data[at] ^ 1))

    with pytest.raises(CorruptFileError, match="content of zip entry model/weights does not match"):
        check_crc(FileMap(path), read_zip(path)["model/weights"])
    with pytest.raises(CorruptFileError, match="content of zip entry model/weights does not match"):
        read_entry(path, read_zip(path)["model/weights"], 1 << 20)


def test_an_entry_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip")

    with pytest.raises(UnsafeFileError, match="zip entry model/weights would take"):
        read_entry(path, read_zip(path)["model/weights"], len(CONTENT) - 1)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(50 << 20))
    entry = read_zip(tmp_path / "bomb.zip")["weights"]

    with pytest.raises(UnsafeFileError, match="that is a zip bomb, not a model"):
        read_entry(tmp_path / "bomb.zip", entry, 1 << 30)


def test_an_entry_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    _patched(path, lambda data: struct.pack_into("<I", data, _directory(data, 1) + 24, 10))

    with pytest.raises(CorruptFileError, match="does not match its checksum or size"):
        read_entry(path, read_zip(path)["model/weights"], 1 << 20)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_repeated_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("data.pkl", b"one")
        archive.writestr("data.pkl", b"two")

    with pytest.raises(UnsafeFileError, match=r"twice.zip: zip entry data.pkl exists twice"):
        read_zip(tmp_path / "twice.zip")


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip")

    def overlap(data: bytearray) -> None:
        first = _directory(data, 0)
        struct.pack_into("<II", data, first + 20, 500, 500)

    _patched(path, overlap)

    with pytest.raises(UnsafeFileError, match="zip entry model/weights overlaps another entry"):
        read_zip(path)


@pytest.mark.parametrize(
    ("offset_in_record", "layout", "value", "error", "message"),
    [
        (8, "<H", 1, UnsafeFileError, "is encrypted; decrypt the archive first"),
        (10, "<H", 99, CorruptFileError, "differs between its header and the directory"),
        (20, "<I", 7, CorruptFileError, "is stored, so 10240 bytes should take as many"),
        (42, "<I", 5, CorruptFileError, "zip entry model/weights has no header"),
    ],
)
def test_a_lying_directory_is_refused(
    tmp_path: Path, offset_in_record: int, layout: str, value: int, error: type[Exception], message: str
) -> None:
    path = _archive(tmp_path / "a.zip")
    _patched(path, lambda data: struct.pack_into(layout, data, _directory(data, 1) + offset_in_record, value))

    with pytest.raises(error, match=message):
        read_zip(path)


def test_an_entry_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    _patched(path, lambda data: struct.pack_into("<I", data, _directory(data, 1) + 20, 0xFFFFFF00))

    with pytest.raises(CorruptFileError, match="zip entry model/weights should end at byte"):
        read_zip(path)


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip", zipfile.ZIP_BZIP2)

    with pytest.raises(UnsafeFileError, match="is compressed by method 12; expected stored or deflated"):
        read_zip(path)


def test_a_directory_of_absurd_size_is_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for index in range(1000):
            writer.writestr(f"{index}" + "x" * 6000, b"")
    (tmp_path / "wide.zip").write_bytes(archive.getvalue())

    with pytest.raises(UnsafeFileError, match="the zip directory would take 6 MiB"):
        read_zip(tmp_path / "wide.zip")


@pytest.mark.parametrize("size", [1, 30, 4000, 10_400])
def test_a_truncated_archive_is_refused(tmp_path: Path, size: int) -> None:
    path = _archive(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(CorruptFileError, match="truncated or damaged: copy or download it again"):
        read_zip(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none.zip: there is no such file"):
        read_zip(tmp_path / "none.zip")


def _write(path: Path, reserved: int = len(CONTENT)) -> int:
    file = open_for_writing(path)
    try:
        writer = ZipWriter(file)
        writer.put("a/data.pkl", b"first")
        offset = writer.reserve("a/data/größe", reserved, 64)
        writer.put("a/version", b"3\n", 4096)
        os.pwrite(file, CONTENT, offset)
        writer.set_crc("a/data/größe", zlib.crc32(CONTENT))
        writer.finish()
    finally:
        os.close(file)
    return offset


def test_what_the_writer_makes_is_a_zip_archive(tmp_path: Path) -> None:
    offset = _write(tmp_path / "made.zip")

    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a/data.pkl": b"first",
            "a/data/größe": CONTENT,
            "a/version": b"3\n",
        }
    entries = read_zip(tmp_path / "made.zip")
    assert entries["a/data/größe"].offset == offset
    assert (offset % 64, entries["a/version"].offset % 4096) == (0, 0)


def test_equal_content_makes_equal_files(tmp_path: Path) -> None:
    _write(tmp_path / "one.zip")
    _write(tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_entries_and_offsets_beyond_4_gib(tmp_path: Path) -> None:
    # the file is sparse: only the written parts take room on the disk
    _write(tmp_path / "large.zip", reserved=(4 << 30) + 5)

    with zipfile.ZipFile(tmp_path / "large.zip") as archive:
        assert archive.getinfo("a/data/größe").file_size == (4 << 30) + 5
        assert archive.read("a/version") == b"3\n"
    entries = read_zip(tmp_path / "large.zip")
    assert entries["a/data/größe"].size == (4 << 30) + 5
    assert read_entry(tmp_path / "large.zip", entries["a/version"], 10) == b"3\n"


def test_more_than_65535_entries(tmp_path: Path) -> None:
    file = open_for_writing(tmp_path / "many.zip")
    writer = ZipWriter(file)
    for index in range(65_536):
        writer.put(str(index), b"%d" % index)
    writer.finish()
    os.close(file)

    with zipfile.ZipFile(tmp_path / "many.zip") as archive:
        assert len(archive.infolist()) == 65_536
        assert archive.read("65535") == b"65535"


def test_an_entry_without_its_checksum_cannot_be_finished(tmp_path: Path) -> None:
    file = open_for_writing(tmp_path / "open.zip")
    writer = ZipWriter(file)
    writer.reserve("late", 4)

    with pytest.raises(ValueError, match="zip entry late was reserved, but its CRC was never set"):
        writer.finish()
    os.close(file)
