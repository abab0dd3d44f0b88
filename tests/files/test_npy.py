"""NumPy's files, read as data: what NumPy writes is read, and what made numpy.load stumble is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.npy import read_numpy


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|b1", "<i8", "|u1"])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (2, 3, 5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes(tmp_path: Path, dtype: str, shape: tuple[int, ...], order: str) -> None:
    rng = np.random.default_rng(3)
    array = np.asarray(rng.uniform(-90, 90, shape).astype(dtype), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", array)
    np.savez_compressed(tmp_path / "x.npz", x=array, other=array[..., :1] if shape else array)

    alone, named = read_numpy(tmp_path / "x.npy"), read_numpy(tmp_path / "x.npz")
    assert isinstance(alone, np.ndarray)
    assert isinstance(named, dict)
    assert named.keys() == {"x", "other"}
    for read in (alone, named["x"]):
        assert read.dtype == array.dtype
        assert read.shape == array.shape
        assert read.tobytes() == array.tobytes()


def test_zeros_are_no_bomb(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((4 << 20,), "f4"))

    read = read_numpy(tmp_path / "x.npz")
    assert isinstance(read, dict)
    assert read["x"].shape == (4 << 20,)


def _npy(header: bytes, data: bytes = bytes(24), version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


GOOD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_npy(GOOD.replace(b"(2, 3)", b"(2, 3")), "it is damaged, or holds no numbers"),
        (_npy(GOOD.replace(b"(2, 3)", b"(2, -3)")), "it is damaged, or holds no numbers"),
        (_npy(GOOD.replace(b"(2, 3)", b"(1000000, 1000000)")), "should be 4000000000000 bytes; received 24"),
        (
            _npy(GOOD.replace(b"(2, 3)", b"(" + b"9" * 18 + b"," + b"9" * 18 + b")")),
            "no array of numbers has shape",
        ),
        (_npy(GOOD.replace(b"(2, 3)", b"(" + b"1," * 40 + b"6)")), "no array of numbers has shape"),
        (
            _npy(GOOD.replace(b"(2, 3)", b"(" + b"9" * 18 + b",0," + b"9" * 18 + b")"), b""),
            "no array of numbers has",
        ),
        (
            _npy(GOOD.replace(b"(2, 3)", b"(" + (b"9" * 18 + b",") * 400 + b")")),
            "no array of numbers has shape",
        ),
        (_npy(GOOD.replace(b"<f4", b"|S0"), b""), "no array of numbers has shape"),
        (_npy(GOOD.replace(b"<f4", b"|O")), "it is damaged, or holds no numbers"),
        (_npy(GOOD.replace(b"'<f4'", b"[('a', '<f4')]")), "it is damaged, or holds no numbers"),
        (_npy(b"-" * 9000 + b"1"), "it is damaged, or holds no numbers"),
        (_npy(GOOD, version=b"\x09\0"), "this is no .npy file"),
        (b"\x93NUMPY", "this is no .npy file"),
        (_npy(GOOD)[:-1], "should be 24 bytes; received 23"),
    ],
)
def test_damaged_headers(tmp_path: Path, content: bytes, message: str) -> None:
    alone, inside = tmp_path / "x.npy", tmp_path / "x.npz"
    alone.write_bytes(content)
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("x.npy", content)

    with pytest.raises(CorruptFileError, match=message):
        read_numpy(alone)
    with pytest.raises(CorruptFileError, match=f"x.npz, x.npy: .*{message}"):
        read_numpy(inside)


def test_damaged_archives(tmp_path: Path) -> None:
    """Versions and methods that zipfile does not know, and encryption, ended numpy.load with other errors."""
    made = io.BytesIO()
    np.savez(made, x=np.arange(6.0))
    whole, path = made.getvalue(), tmp_path / "x.npz"
    directory = whole.index(b"PK\1\2")
    for offset, value, error in (
        (6, b"\xff", CorruptFileError),  # the version that is needed to extract it
        (8, b"\1", UnsafeFileError),  # encrypted
        (10, b"\x63", CorruptFileError),  # a method that the local header does not name
    ):
        at = directory + offset
        path.write_bytes(whole[:at] + value + whole[at + 1 :])
        with pytest.raises(error):
            read_numpy(path)


def test_two_arrays_of_one_name(tmp_path: Path) -> None:
    """The second would be taken for the first."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x", _npy(GOOD))
        archive.writestr("x.npy", _npy(GOOD, bytes(range(24))))

    with pytest.raises(CorruptFileError, match=r"x\.npz: two of its arrays have one name: x, x\.npy"):
        read_numpy(tmp_path / "x.npz")
