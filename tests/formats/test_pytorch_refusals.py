"""Checkpoints that cannot or must not be read: what is said, and that nothing of them runs."""

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError, UnsupportedFeatureError
from grubridge.files.zips import read_zip
from grubridge.formats.base import ReadHints
from grubridge.formats.pytorch import adapter as pytorch
from grubridge.spec import GRUSpec
from tests.torch_grus import random_gru


def _read(path: Path) -> GRUSpec:
    assert pytorch.sniff(path, path.read_bytes()[:512])
    (entry,) = pytorch.contents(path, ReadHints()).stacks
    return entry.read()


def _repacked(path: Path, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """Write the archive again, its records changed; checksums are right."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in records.items():
            archive.writestr(name, change(name, content))
    return path


def _with_pickle(path: Path, old: bytes, new: bytes) -> Path:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("data.pkl"):
            assert old in content
            return content.replace(old, new, 1)
        return content

    return _repacked(path, change)


@pytest.fixture
def good(torch: ModuleType, tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    torch.save(random_gru().state_dict(), path)
    return path


class _Attack:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(torch: ModuleType, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "model.pt"
    torch.save({"weights": random_gru().state_dict(), "extra": [_Attack(canary)]}, path)

    with pytest.raises(
        UnsafeFileError, match=r"model.pt: its pickle asks for (posix|nt).mkdir, which belongs"
    ):
        _read(path)

    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists(), "the attack would have worked"


def test_a_whole_module_is_refused_with_the_line_that_saves_its_weights(
    torch: ModuleType, tmp_path: Path
) -> None:
    torch.save(random_gru(), tmp_path / "model.pt")

    with pytest.raises(UnsafeFileError) as error:
        _read(tmp_path / "model.pt")

    assert "torch.nn.modules.rnn.GRU" in str(error.value)
    line = str(error.value).partition("save its weights alone: ")[2]
    line = line.replace("'model.pt'", "model").replace("'weights.pt'", "weights")
    exec(line, {"torch": torch, "model": tmp_path / "model.pt", "weights": tmp_path / "weights.pt"})  # noqa: S102
    assert _read(tmp_path / "weights.pt").input_size == 5


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_with_the_line_that_saves_its_weights(
    torch: ModuleType, tmp_path: Path
) -> None:
    torch.jit.script(random_gru()).save(tmp_path / "model.pt")

    with pytest.raises(
        FileFormatError, match=r"TorchScript archive.*torch.jit.load\('model.pt'\).state_dict"
    ):
        _read(tmp_path / "model.pt")


def test_the_format_before_version_1_6_is_refused_with_the_line_that_converts_it(
    torch: ModuleType, tmp_path: Path
) -> None:
    torch.save(random_gru().state_dict(), tmp_path / "model.data", _use_new_zipfile_serialization=False)

    with pytest.raises(FileFormatError, match=r"before version 1\.6") as error:
        _read(tmp_path / "model.data")

    line = str(error.value).partition("today's format: ")[2]
    line = line.replace("'model.pt'", "model").replace("'weights.pt'", "weights")
    exec(line, {"torch": torch, "model": tmp_path / "model.data", "weights": tmp_path / "weights.pt"})  # noqa: S102
    assert _read(tmp_path / "weights.pt").input_size == 5


@pytest.mark.parametrize("kind", ["pickle", "tar"])
def test_a_bare_pickle_and_a_tar_archive_are_refused(tmp_path: Path, kind: str) -> None:
    content = io.BytesIO()
    if kind == "pickle":
        pickle.dump({"weight_ih_l0": np.ones(3)}, content, protocol=4)
    else:
        with tarfile.open(fileobj=content, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("pickle"))
    (tmp_path / "model.tar").write_bytes(content.getvalue())

    with pytest.raises(FileFormatError, match=r"bare pickle or the format of torch.save before version 1.6"):
        _read(tmp_path / "model.tar")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_truncated_checkpoint_is_refused(good: Path, share: float) -> None:
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(CorruptFileError, match="truncated or damaged: copy or download it again"):
        _read(good)


def test_another_name_leaves_a_damaged_zip_to_others(good: Path) -> None:
    path = good.rename(good.with_suffix(".keras"))
    path.write_bytes(path.read_bytes()[:600])

    assert not pytorch.sniff(path, path.read_bytes()[:512])


def test_a_flipped_bit_in_a_weight_is_found(good: Path) -> None:
    content = bytearray(good.read_bytes())
    content[read_zip(good)["model/data/1"].offset + 50] ^= 4
    good.write_bytes(content)

    with pytest.raises(CorruptFileError, match="content of zip entry model/data/1 does not match"):
        _read(good)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Kit", b"Kjt", "record model/data/0 should hold 106 values of float32; found 420 bytes"),
        (b"X\1\0\0\0000", b"X\1\0\0\0007", "record model/data/7 should hold 105 values.*found none"),
        (b"X\1\0\0\0000", b"X\2\0\0\000..", "a persistent id that is no storage"),
        (b"X\1\0\0\0001", b"X\1\0\0\0000", "a storage of two dtypes or sizes"),
        (b"QK\0K\x15K\5", b"QK\1K\x15K\5", r"strides \[5, 1\] goes beyond the 105 values"),
        (b"K\5K\1\x86", b"K\xc8K\1\x86", r"strides \[200, 1\] goes beyond the 105 values"),
        (b"K\5K\1\x86", b"J\xff\xff\xff\xffK\1\x86", "a size, offset or stride that is negative"),
        (b"K\5K\1\x86", b"\x8a\x09" + b"\x7f" * 9 + b"K\1\x86", "a size, offset or stride of more than 63"),
        (b"K\x15K\5\x86", b"K\0\x8a\x08" + b"\x7f" * 8 + b"\x86", "a tensor of a shape that no array can"),
    ],
    ids=[
        "too many values",
        "no record",
        "no record name",
        "one storage told in two ways",
        "offset",
        "stride",
        "negative stride",
        "huge stride",
        "huge shape",
    ],
)
def test_a_tensor_that_lies_about_its_storage_is_refused(
    good: Path, old: bytes, new: bytes, message: str
) -> None:
    with pytest.raises(CorruptFileError, match=message):
        _read(_with_pickle(good, old, new))


def test_a_tensor_that_is_stored_negated_is_refused(torch: ModuleType, tmp_path: Path) -> None:
    """Its record holds the opposite of its values, which torch.load turns."""
    weights = random_gru().state_dict()
    half = weights["weight_hh_l0"]
    weights["weight_hh_l0"] = torch.complex(half, -half).conj().imag
    torch.save(weights, tmp_path / "model.pt")

    assert torch.equal(torch.load(tmp_path / "model.pt")["weight_hh_l0"], half)
    with pytest.raises(FileFormatError, match=r"a tensor of shape \[21, 7\] is the negative of what record"):
        _read(tmp_path / "model.pt")


def test_a_tensor_that_sees_a_value_many_times_is_refused(torch: ModuleType, tmp_path: Path) -> None:
    weights = random_gru().state_dict()
    weights["weight_hh_l0"] = torch.tensor(0.5).expand(21, 7)
    torch.save(weights, tmp_path / "model.pt")

    with pytest.raises(
        UnsafeFileError, match=r"shape \[21, 7\] is made of only 1 values \(strides \[0, 0\]\)"
    ):
        _read(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("bias_hh_l0", (20,), r"tensor rnn.bias_hh_l0 should be \[21\].*received \[20\]"),
        ("weight_ih_l0", (21, 5, 1), None),
        ("weight_hh_l0", (21, 6), None),
        ("weight_ih_l1", (21, 6), r"tensor rnn.weight_ih_l1 should be \[21, 7\].*received \[21, 6\]"),
        ("weight_ih_l1", None, "tensor rnn.weight_ih_l1 is missing"),
        ("bias_ih_l1", None, "tensor rnn.bias_ih_l1 is missing"),
    ],
)
def test_shapes_that_form_no_gru_are_named(
    torch: ModuleType, tmp_path: Path, key: str, shape: tuple[int, ...] | None, message: str | None
) -> None:
    weights = {f"rnn.{name}": value for name, value in random_gru(num_layers=2).state_dict().items()}
    del weights[f"rnn.{key}"]
    if shape:
        weights[f"rnn.{key}"] = torch.rand(shape)
    torch.save(weights, tmp_path / "model.pt")

    if message:
        with pytest.raises(CorruptFileError, match=message):
            _read(tmp_path / "model.pt")
    else:
        contents = pytorch.contents(tmp_path / "model.pt", ReadHints())
        assert contents.stacks == ()
        assert contents.others[0].startswith("'rnn' whose shapes are no nn.GRU's (")


def test_integer_weights_are_refused(torch: ModuleType, tmp_path: Path) -> None:
    weights = {name: (value * 100).to(torch.int8) for name, value in random_gru().state_dict().items()}
    torch.save(weights, tmp_path / "model.pt")

    with pytest.raises(
        CorruptFileError, match=r"tensor weight_ih_l0 should be one of float16.*received int8"
    ):
        _read(tmp_path / "model.pt")


def test_only_an_lstm_leaves_no_stack(torch: ModuleType, tmp_path: Path) -> None:
    torch.save(torch.nn.LSTM(3, 4).state_dict(), tmp_path / "model.pt")

    contents = pytorch.contents(tmp_path / "model.pt", ReadHints())

    assert (contents.stacks, contents.others) == ((), ("LSTM",))


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_weight_norm_is_refused_by_name(torch: ModuleType, tmp_path: Path, new: bool) -> None:  # noqa: FBT001
    norm = torch.nn.utils.parametrizations.weight_norm if new else torch.nn.utils.weight_norm
    holder = torch.nn.ModuleDict({"rnn": norm(random_gru(), "weight_hh_l0")})
    torch.save(holder.state_dict(), tmp_path / "model.pt")

    with pytest.raises(
        UnsupportedFeatureError, match=r"weights of rnn are parametrized \(weight_norm"
    ) as error:
        pytorch.contents(tmp_path / "model.pt", ReadHints())

    assert error.value.features == ("parametrized weights of rnn",)


def test_a_zip_bomb_is_refused(good: Path) -> None:
    path = _repacked(good, lambda name, content: content, zipfile.ZIP_DEFLATED)
    assert _read(path).input_size == 5, "a deflated checkpoint is read"
    _repacked(
        path,
        lambda name, content: bytes(17 << 20) if name.endswith("data.pkl") else content,
        zipfile.ZIP_DEFLATED,
    )

    with pytest.raises(UnsafeFileError, match=r"zip entry model/data.pkl would take 17 MiB of memory"):
        _read(path)


def test_overlapping_entries_are_refused(good: Path) -> None:
    content = bytearray(good.read_bytes())
    first = content.index(b"PK\1\2")
    struct.pack_into("<II", content, first + 20, 600, 600)
    good.write_bytes(content)

    with pytest.raises(UnsafeFileError, match="overlaps another entry"):
        _read(good)


def test_big_endian_is_refused_with_the_way_out(good: Path) -> None:
    path = _repacked(good, lambda name, content: b"big" if name.endswith("byteorder") else content)

    with pytest.raises(FileFormatError, match="saved on a big-endian machine; save it again"):
        _read(path)


def test_a_zip_with_two_checkpoints_is_refused(good: Path) -> None:
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr("other/data.pkl", b"\x80\x02}.")

    with pytest.raises(CorruptFileError, match=r"expected one data.pkl, as torch.save writes; found 2"):
        _read(good)
