"""HDF5 files as data: what is read, and what is refused before memory is taken."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.hdf5 import Hdf5File
from grubridge.files.hdf5_writer import Hdf5Writer
from grubridge.files.opening import MappedFile, open_for_writing
from grubridge.files.zips import read_zip
from grubridge.spec import Array, Fused, numpy_dtype

VALUES = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)

Opened = Callable[..., Hdf5File]


def _file(path: Path, fill: Callable[[Any], object]) -> Path:
    with h5py.File(path, "w") as file:
        fill(file)
    return path


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as files:
        yield lambda path, entry=None: files.enter_context(Hdf5File(path, entry))


def _mapped(array: Array) -> bool:
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, MappedFile)


@pytest.mark.parametrize(
    ("settings", "mapped"),
    [
        ({}, True),
        ({"chunks": (8, 30)}, False),
        ({"compression": "gzip", "shuffle": True, "fletcher32": True}, False),
    ],
)
def test_arrays_are_mapped_where_they_lie_in_one_piece(
    opened: Opened, tmp_path: Path, settings: dict[str, Any], *, mapped: bool
) -> None:
    path = _file(tmp_path / "a.h5", lambda file: file.create_dataset("b/c", data=VALUES, **settings))

    array = opened(path).array("b/c")

    assert (array.shape, array.dtype.name) == ((40, 30), "float32")
    assert np.array_equal(array.load(), VALUES)
    assert _mapped(array.load()) == mapped


def test_compact_arrays_are_read(opened: Opened, tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3,))
        made = h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, space, how)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(3.0))

    assert opened(_file(tmp_path / "a.h5", fill)).array("a").load().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_either_byte_order_is_read_as_the_machine_has_it(opened: Opened, tmp_path: Path, dtype: str) -> None:
    path = _file(tmp_path / "a.h5", lambda file: file.create_dataset("a", data=VALUES.astype(dtype)))

    array = opened(path).array("a")

    assert array.dtype.isnative
    assert np.array_equal(array.load(), VALUES.astype(dtype))


def test_two_opaque_bytes_are_bfloat16(opened: Opened, tmp_path: Path) -> None:
    stored = VALUES.astype(numpy_dtype("bfloat16"))

    def fill(file: Any) -> None:
        file["plain"] = stored
        file["chunked"] = file.create_dataset("c", data=stored, chunks=(8, 30))
        file["other"] = stored
        file["other"].attrs["dtype"] = "int4x4"

    file = opened(_file(tmp_path / "a.h5", fill))

    for name in ("plain", "chunked"):
        assert file.array(name).load().dtype == numpy_dtype("bfloat16")
        assert np.array_equal(file.array(name).load(), stored)
    with pytest.raises(CorruptFileError, match="other should hold floats of 16, 32 or 64 bits"):
        file.array("other")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_in_a_zip_is_read_in_place(opened: Opened, tmp_path: Path, compression: int) -> None:
    inner = _file(tmp_path / "a.h5", lambda file: file.create_dataset("a", data=VALUES))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as archive:
        archive.writestr("x", b"123")
        archive.write(inner, "a.h5")

    entry = read_zip(tmp_path / "a.zip")["a.h5"]
    array = opened(tmp_path / "a.zip", entry).array("a").load()

    assert np.array_equal(array, VALUES)
    assert _mapped(array) == (compression == zipfile.ZIP_STORED)


def _soft(file: Any) -> None:
    file["real"] = VALUES
    file["a"] = h5py.SoftLink("/real")


def _external(file: Any) -> None:
    file["a"] = h5py.ExternalLink("elsewhere.h5", "/a")


def _behind_a_soft_link(file: Any) -> None:
    file["there/a"] = VALUES
    file["a"] = h5py.SoftLink("/there")


@pytest.mark.parametrize("fill", [_soft, _external, _behind_a_soft_link])
def test_links_that_are_not_hard_are_refused(
    opened: Opened, tmp_path: Path, fill: Callable[[Any], None]
) -> None:
    path = _file(tmp_path / "a.h5", fill)
    file = opened(path)

    for look in (lambda: file.array("a"), lambda: file.array("a/a"), lambda: list(file.walk())):
        with pytest.raises(UnsafeFileError) as caught:
            look()
        assert str(caught.value).startswith(f"{path}: 'a")
        assert "leads through a soft or external link, which may leave the file; copy the model" in str(
            caught.value
        )


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((40, 30), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "a", (40, 30))
    file.create_virtual_dataset("a", layout)


def _raw_file(file: Any) -> None:
    file.create_dataset("a", (40, 30), "f4", external=[("elsewhere.bin", 0, 4800)])


@pytest.mark.parametrize("fill", [_virtual, _raw_file])
def test_values_in_another_file_are_refused(
    opened: Opened, tmp_path: Path, fill: Callable[[Any], None]
) -> None:
    path = _file(tmp_path / "a.h5", fill)

    with pytest.raises(UnsafeFileError) as caught:
        opened(path).array("a")

    assert str(caught.value) == f"{path}: a keeps its values in another file; copy them into this one first"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shape": (10**6, 10**6)}, CorruptFileError, "should take 4000000000000 bytes; 0 were ever written"),
        ({"shape": (10**6, 10**6), "chunks": (9, 9)}, CorruptFileError, "0 were ever written"),
        ({"data": VALUES, "compression": "lzf"}, UnsafeFileError, "through HDF5 filter 32000; expected gzip"),
        ({"data": np.zeros((3000, 3000), "f4"), "compression": "gzip"}, UnsafeFileError, "that is a bomb"),
        (
            {"data": [1, 2]},
            CorruptFileError,
            "a should hold floats of 16, 32 or 64 bits; its type is another",
        ),
        ({"data": ["x"], "dtype": h5py.string_dtype()}, CorruptFileError, "should hold floats of 16, 32 or"),
    ],
    ids=["never_written", "never_written_chunks", "unknown_filter", "bomb", "integers", "strings"],
)
def test_arrays_that_are_not_what_they_claim(
    opened: Opened, tmp_path: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    path = _file(tmp_path / "a.h5", lambda file: file.create_dataset("a", **{"dtype": None, **settings}))

    with pytest.raises(error) as caught:
        opened(path).array("a")

    assert str(caught.value).startswith(f"{path}: a ")
    assert message in str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"compression": "gzip"}])
def test_chunks_that_were_never_written_are_missed(
    opened: Opened, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """HDF5 reads zeros there."""

    def fill(file: Any) -> None:
        made = file.create_dataset("a", (5, 6), "f4", chunks=(2, 4), **settings)
        made[:4] = 1

    with pytest.raises(CorruptFileError, match="a lies in 6 chunks, of which 4 were ever written"):
        opened(_file(tmp_path / "a.h5", fill)).array("a")


@pytest.mark.parametrize(
    ("size", "fields", "bias"),
    [(2, (15, 7, 8, 0, 7), 127), (4, (15, 10, 5, 0, 10), 15), (4, (0, 1, 8, 9, 23), 127)],
    ids=["bfloat16", "half_in_four_bytes", "sign_last"],
)
def test_floats_of_other_bits_are_not_taken_for_those_of_ieee(
    opened: Opened, tmp_path: Path, size: int, fields: tuple[int, ...], bias: int
) -> None:
    def fill(file: Any) -> None:
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(*fields)
        kind.set_size(size)
        kind.set_ebias(bias)
        made = h5py.h5d.create(file.id, b"a", kind, h5py.h5s.create_simple((2, 3)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(6, dtype="f4").reshape(2, 3))

    path = _file(tmp_path / "a.h5", fill)
    with h5py.File(path) as file:
        assert file["a"].dtype == np.float32  # what h5py would convert them to
    with pytest.raises(CorruptFileError, match="a should hold floats of 16, 32 or 64 bits; its type is"):
        opened(path).array("a")


def test_a_chunk_bomb_is_refused_by_its_ratio(opened: Opened, tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        made = file.create_dataset("a", (10**6, 10**4), "f4", chunks=(10, 10))
        made[:10, :10] = 1

    with pytest.raises(UnsafeFileError, match="unpacks 400 bytes into 40000000000; that is a bomb"):
        opened(_file(tmp_path / "a.h5", fill)).array("a")


def test_a_walk_ends_in_a_circle(opened: Opened, tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file["one/two/a"] = VALUES
        file["one/two/up"] = file["one"]
        file["top"] = file["/"]

    found = dict(opened(_file(tmp_path / "a.h5", fill)).walk())

    assert found == {"": [], "one": [], "one/two": ["a"]}


def test_attributes_are_text_or_refused(opened: Opened, tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["one"] = "zwölf"
        file.attrs["fixed"] = np.bytes_(b"abc")
        file.attrs["many"] = [b"a", b"bc"]
        file.attrs["none"] = []
        file.attrs["number"] = 3

    file = opened(_file(tmp_path / "a.h5", fill))

    assert [file.texts("", name) for name in ("one", "fixed", "many", "none", "missing")] == [
        ["zwölf"], ["abc"], ["a", "bc"], [], None,
    ]  # fmt: skip
    with pytest.raises(CorruptFileError) as caught:
        file.text("", "number")
    assert str(caught.value) == f"{tmp_path / 'a.h5'}: the attribute number of '/' should be text"


@pytest.mark.parametrize("path", ["..", "b/../a", "b//c", "/a", "a/x"])
def test_a_stored_name_is_never_a_path(opened: Opened, tmp_path: Path, path: str) -> None:
    file = opened(
        _file(tmp_path / "a.h5", lambda file: (file.create_dataset("a", data=VALUES), file.create_group("b")))
    )

    assert not file.has(path)
    with pytest.raises(CorruptFileError, match="there is no array"):
        file.array(path)


def test_control_characters_do_not_reach_the_message(opened: Opened, tmp_path: Path) -> None:
    path = _file(tmp_path / "a.h5", lambda file: file.create_dataset("\x1b[31m", data=[1]))

    with pytest.raises(CorruptFileError) as caught:
        opened(path).array("\x1b[31m")

    assert "\x1b" not in str(caught.value)
    assert "\\x1b[31m should hold floats" in str(caught.value)


@pytest.mark.parametrize("base", [0, 77])
def test_a_planned_file_is_a_file(opened: Opened, tmp_path: Path, base: int) -> None:
    writer = Hdf5Writer()
    writer.text("", "long", "x" * 200_000)
    writer.texts("group", "names", ["a", "b"])
    large = np.random.default_rng(1).normal(size=(700, 900))
    writer.array("group/large", (700, 900), Fused((large[:, :300], large[:, 300:]), 1))
    writer.array("group/flat", (2, 3), Fused((np.arange(6.0),), 0))
    halves = np.arange(4, dtype=np.float32).astype(numpy_dtype("bfloat16"))
    writer.array("half", (4,), Fused((halves,), 0))
    planned = writer.finish()
    path = tmp_path / "a.h5"
    descriptor = open_for_writing(path)

    with open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor
        planned.write_summed(target.fileno(), base)

    content = path.read_bytes()[base:]
    assert len(content) == planned.size
    (tmp_path / "cut.h5").write_bytes(content)
    with h5py.File(tmp_path / "cut.h5") as file:
        assert np.array_equal(file["group/large"][()], large)
        assert file["group/flat"][()].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file.attrs["long"] == "x" * 200_000
        assert file["group"].attrs["names"].tolist() == ["a", "b"]
    assert np.array_equal(opened(tmp_path / "cut.h5").array("half").load(), halves)


@pytest.mark.parametrize("settings", [{}, {"compression": "gzip"}])
def test_arrays_outlive_the_open_file(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = _file(tmp_path / "a.h5", lambda file: file.create_dataset("a", data=VALUES, **settings))

    with Hdf5File(path) as file:
        array = file.array("a")

    assert np.array_equal(array.load(), VALUES)
