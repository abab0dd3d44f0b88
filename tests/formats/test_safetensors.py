"""safetensors files, held against the safetensors library and torch."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.formats import safetensors as adapter
from grubridge.formats.base import Contents, Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.readback import differences
from grubridge.spec import GATE_NAMES, GRUSpec, Layout, unsupported
from tests.torch_grus import VARIANTS, assert_same_function, random_gru
from tests.zoo import ZOO, member

HELD = [spec for spec in ZOO if not unsupported(spec, adapter.CAPABILITIES, "safetensors")]
WEIGHTS = {
    "weight_ih_l0": np.arange(60, dtype=np.float32).reshape(12, 5) / 64,
    "weight_hh_l0": np.arange(48, dtype=np.float32).reshape(12, 4) / 128,
}


def _contents(path: Path) -> Contents:
    assert adapter.sniff(path, path.read_bytes()[:512])
    return adapter.contents(path, ReadHints())


def _read(path: Path) -> GRUSpec:
    (entry,) = _contents(path).stacks
    return entry.read()


def _write(spec: GRUSpec, path: Path) -> Written:
    provenance = Provenance({"grubridge.version": "1"})
    return adapter.write(spec, path, WriteOptions(), provenance, Layout(GATE_NAMES, "output"))


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_what_torch_saves_is_the_function_that_torch_computes(
    tmp_path: Path, variant: str, dtype: str, tolerance: float
) -> None:
    from safetensors.torch import save_file

    module = random_gru(dtype, **VARIANTS[variant])
    save_file(
        {f"rnn.{k}": v for k, v in module.state_dict().items()}, tmp_path / "m.safetensors", {"format": "pt"}
    )
    contents = _contents(tmp_path / "m.safetensors")

    (entry,) = contents.stacks
    assert (contents.framework, entry.name) == ("torch", "rnn")
    assert (entry.address["keys"], entry.address["prefix"]) == ([], "rnn.")
    assert_same_function(entry.read(), module, tolerance)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_values(tmp_path: Path, dtype: str) -> None:
    from safetensors.torch import save_file

    module = random_gru(dtype, bidirectional=True)
    save_file(module.state_dict(), tmp_path / "m.safetensors")

    spec = _read(tmp_path / "m.safetensors")

    assert spec.dtype.name == dtype
    assert_same_function(spec, module.double(), 1e-12)


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_a_written_file_is_read_back_bit_by_bit(tmp_path: Path, spec: GRUSpec) -> None:
    written = _write(spec, tmp_path / "w.safetensors")

    assert differences(_read(tmp_path / "w.safetensors"), written.stored) == ()
    if spec.name not in {"input_bias_only", "candidate_recurrent_bias"}:
        assert differences(written.stored, spec) == ()


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_torch_computes_what_was_written(torch: ModuleType, tmp_path: Path, spec: GRUSpec) -> None:
    import safetensors.torch

    path = tmp_path / "w.safetensors"
    code = _write(spec, path).notes[0].removeprefix("load it with ").replace("'w.safetensors'", "path")
    names: dict[str, Any] = {"torch": torch, "safetensors": safetensors, "path": path}

    exec(code, names)  # noqa: S102

    assert_same_function(spec, names["gru"].double(), 1e-12)


def test_the_library_opens_what_was_written(tmp_path: Path) -> None:
    spec = member("two_layers_bidirectional")
    _write(spec, tmp_path / "w.safetensors")

    stored = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt", "grubridge.version": "1"}

    gates = spec.layers[1].backward.recurrent_weight  # type: ignore[union-attr]
    expected = np.concatenate([gates.reset, gates.update, gates.candidate])
    assert len(stored) == 16
    assert np.array_equal(stored["weight_hh_l1_reverse"], expected)


def test_equal_specs_make_equal_files_whose_tensors_can_be_mapped(tmp_path: Path) -> None:
    _write(member("bidirectional"), tmp_path / "one.safetensors")
    _write(member("bidirectional"), tmp_path / "two.safetensors")
    content = (tmp_path / "one.safetensors").read_bytes()

    assert content == (tmp_path / "two.safetensors").read_bytes()
    assert (8 + struct.unpack_from("<Q", content)[0]) % 64 == 0


def test_other_dtypes_beside_a_gru_are_passed_over(tmp_path: Path) -> None:
    header, data = _parts()
    size = len(data)
    header["scale"] = {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [size, size + 4]}
    header["steps"] = {"dtype": "I64", "shape": [], "data_offsets": [size + 4, size + 12]}

    spec = _read(_assembled(tmp_path, header, data + bytes(12)))

    assert np.array_equal(spec.layers[0].forward.input_weight.reset, WEIGHTS["weight_ih_l0"][:4])  # type: ignore[union-attr]


def _parts() -> tuple[dict[str, Any], bytes]:
    content = safetensors.numpy.save(WEIGHTS)
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _assembled(folder: Path, header: object, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _entry(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["weight_ih_l0"].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_entry("shape", [9, 5]), r"weight_ih_l0 of shape \[9, 5\] and dtype F32 takes 180 bytes.*leave 240"),
        (_entry("shape", [2**40, 2**40]), r"non-negative sizes that an array can have"),
        (_entry("shape", [-12, -5]), "weight_ih_l0 should have whole, non-negative sizes that an array"),
        (_entry("shape", [12.0, 5]), "weight_ih_l0 should have whole, non-negative sizes that an array"),
        (_entry("shape", [True, 60]), "weight_ih_l0 should have whole, non-negative sizes that an array"),
        (_entry("data_offsets", [192]), "weight_ih_l0 should have whole, non-negative sizes that an array"),
        (_entry("data_offsets", [0, 240]), "a tensor should begin at byte .* the one before it ends"),
        (_entry("data_offsets", [200, 440]), "should begin at byte 192 .*it claims bytes 200 to 440"),
        (_entry("dtype", "F64"), "takes 480 bytes, but its offsets leave 240"),
        (_entry("more", 1), "weight_ih_l0 should have dtype, shape and data_offsets"),
        (lambda header: header.__delitem__("weight_hh_l0"), "should begin at byte 0 after the header"),
        (lambda header: header.__delitem__("weight_ih_l0"), "its tensors should end at byte"),
    ],
)
def test_a_header_that_does_not_describe_the_file_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    header, data = _parts()
    change(header)

    with pytest.raises(CorruptFileError, match=message):
        _read(_assembled(tmp_path, header, data))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{weights}", "header: expected JSON; received something else"),
        (b'{"a":1,"a":2}', "the key 'a' is there twice"),
        (b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', "NaN is no JSON number"),
        (b'{"\xff":1}', "expected JSON; received something else"),
    ],
)
def test_a_header_that_is_not_sound_json_is_refused(tmp_path: Path, header: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        _read(_assembled(tmp_path, header, b""))


def test_a_header_of_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 80 << 20) + b"{")
    with path.open("r+b") as file:
        file.truncate(8 + (80 << 20))

    with pytest.raises(UnsafeFileError, match="the safetensors header would take 80 MiB of memory"):
        _read(path)


@pytest.mark.parametrize(
    ("size", "message"), [(100, "its header should have"), (-1, "its tensors should end at")]
)
def test_a_truncated_file_is_refused(tmp_path: Path, size: int, message: str) -> None:
    path = _assembled(tmp_path, *_parts())
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(CorruptFileError, match=f"{message}.*truncated or damaged: copy or download it again"):
        _read(path)


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    renamed = _assembled(tmp_path, *_parts()).rename(tmp_path / "weights.bin")
    other = tmp_path / "w.safetensors"
    other.write_bytes(b"PK\3\4 something else")

    assert adapter.sniff(renamed, renamed.read_bytes())
    assert not adapter.sniff(other, other.read_bytes())
