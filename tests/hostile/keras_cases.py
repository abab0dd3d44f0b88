"""Keras files: zips that lie, configurations that hold code, and HDF5 that leads elsewhere or never ends."""

from __future__ import annotations

import base64
import io
import json
import marshal
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from .corner import EVIL, Case, Corner

__all__ = ["configurations", "hdf5", "zips"]

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_KERNEL = "layers/gru/cell/vars/0"


def _entries(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


def _patched(whole: bytes, entry: str, offset: int, value: bytes) -> bytes:
    """Change a field of an entry's local header and of its record in the directory."""
    changed = bytearray(whole)
    for start, fields, name in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        at = changed.find(start)
        while at >= 0 and changed[at + name : at + name + len(entry)] != entry.encode():
            at = changed.find(start, at + 1)
        changed[at + fields + offset : at + fields + offset + len(value)] = value
    return bytes(changed)


def zips(corner: Corner) -> Iterator[Case]:
    """Yield archives."""
    whole = corner.good["keras"]
    parts = _entries(whole)

    def of(name: str, changes: Mapping[str, bytes], *case: Any) -> Case:
        return Case(f"zip_{name}.keras", _zipped({**parts, **changes}, zipfile.ZIP_DEFLATED), *case)

    yield of("climbs", {"../../slip.txt": b"x", str(corner.outside / "slip.txt"): b"x"}, "read")
    yield of("other_bomb", {"assets/zeros": bytes(20 << 20)}, "read")
    yield of("config_bomb", {_CONFIG: b" " * (40 << 20)}, "refused", "would take 40 MiB of memory")
    yield of("ratio", {_CONFIG: b" " * (9 << 20)}, "refused", "that is a zip bomb")
    yield of("no_weights", {_WEIGHTS: b""}, "refused", "")
    yield Case("zip_twice.keras", _twice(parts), "refused", f"zip entry {_CONFIG} exists twice")
    yield Case("zip_encrypted.keras", _patched(whole, _CONFIG, 0, b"\1"), told="is encrypted")
    yield Case("zip_method.keras", _patched(whole, _CONFIG, 2, b"\x63"), told="compressed by method 99")
    yield Case("zip_crc.keras", _patched(whole, _WEIGHTS, 8, b"\1\2\3\4"), told="does not match its checksum")
    yield Case(
        "zip_size.keras", _patched(whole, _WEIGHTS, 16, b"\xf0\xff\xff\xff"), told="should take as many"
    )


def _twice(parts: Mapping[str, bytes]) -> bytes:
    renamed = _zipped({**parts, "config.jsoX": parts[_CONFIG].replace(b"tanh", b"relu")})
    return renamed.replace(b"config.jsoX", b"config.json")


def configurations(corner: Corner) -> Iterator[Case]:
    """Yield models whose configuration is hostile."""
    parts = _entries(corner.good["keras"])
    model = json.loads(parts[_CONFIG])

    def raw(name: str, config: bytes, *case: Any) -> Case:
        return Case(f"config_{name}.keras", _zipped({**parts, _CONFIG: config}), *case)

    def gru(name: str, told: str, expected: Any = "refused", /, **settings: object) -> Case:
        changed = json.loads(parts[_CONFIG])
        changed["config"]["layers"][1]["config"].update(settings)
        return raw(name, json.dumps(changed).encode(), expected, told)

    def layer(name: str, told: str, entry: object, expected: Any = "refused") -> Case:
        changed = json.loads(parts[_CONFIG])
        changed["config"]["layers"].append(entry)
        return raw(name, json.dumps(changed).encode(), expected, told)

    code = compile(f"open({str(corner.canary)!r}, 'w').close()", "x", "exec")
    stored = {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
    body = {"class_name": "__lambda__", "config": stored}
    bytecode = "Lambda 'code' holds Python bytecode"
    yield layer("lambda", bytecode, _layer("Lambda", function=body))
    yield layer(
        "old_lambda",
        bytecode,
        _layer("Lambda", function=[stored["code"], None, None], function_type="lambda"),
    )
    yield layer(
        "loss", "holds Python bytecode", {"class_name": "Dense", "config": {"kernel_initializer": body}}
    )
    yield layer("torch_module", "holds a pickled torch module", _layer("TorchModuleWrapper", module="gASV"))
    yield layer(
        "vocabulary",
        "takes its vocabulary from another file",
        _layer("StringLookup", vocabulary=corner.secret()),
    )
    yield layer("saved_model", "takes its filepath from another file", _layer("TFSMLayer", filepath="/etc"))
    yield layer("named_function", "", _layer("Lambda", function="my_own"), "read")
    yield layer("own_class", "", {**_layer("Mine"), "module": "os", "registered_name": "os>system"}, "read")
    yield gru(
        "activation", "os.system", activation={"module": "os", "class_name": "function", "config": "system"}
    )
    yield gru("huge", "the configuration says 1000000000 units", units=10**9)
    yield gru("negative", "units must be a positive integer", units=-1)
    yield gru("text", "units must be a positive integer", units="4")
    yield gru("name", "", "read", name=EVIL)
    yield gru("surrogate", "", "read", name="\ud800")
    yield raw("list", b"[]", "refused", "expected a Keras layer")
    yield raw(
        "nan", json.dumps(model).encode().replace(b"true", b"NaN", 1), "refused", "NaN is no JSON number"
    )
    yield raw("deep", b"[" * 99999 + b"]" * 99999, "refused", "nested more than 200 levels")
    yield raw("bytes", b'{"a": "\xff"}', "refused", "expected JSON")
    function = {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "inbound_nodes": [[corner.command]],
    }
    yield layer("function", "expected a Keras layer", function)


def _layer(kind: str, **config: object) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "code", **config}}


def hdf5(corner: Corner) -> Iterator[Case]:
    """Yield HDF5 files, the weights alone and inside a zip."""
    parts, secret = _entries(corner.good["keras"]), corner.secret()

    def both(name: str, change: Callable[[h5py.File], object], *case: Any) -> Iterator[Case]:
        weights = _changed(corner.good["weights.h5"], change)
        yield Case(f"h5_{name}.weights.h5", weights, *case)
        if name != "attribute":
            inside = _changed(parts[_WEIGHTS], change)
            yield Case(f"h5_{name}.keras", _zipped({**parts, _WEIGHTS: inside}), *case)

    def instead(make: Callable[[h5py.File], object]) -> Callable[[h5py.File], object]:
        def change(file: h5py.File) -> None:
            del file[_KERNEL]
            make(file)

        return change

    links, elsewhere = "leads through a soft or external link", "keeps its values in another file"
    yield from both("external", instead(lambda f: _set(f, h5py.ExternalLink(secret, "/x"))), "refused", links)
    yield from both("soft", instead(lambda f: _set(f, h5py.SoftLink(_KERNEL))), "refused", links)
    yield from both("virtual", instead(lambda f: _virtual(f, secret)), "refused", elsewhere)
    yield from both(
        "raw", instead(lambda f: f.create_dataset(_KERNEL, (3, 12), "<f4", external=[(secret, 0, 144)])),
        "refused", elsewhere,
    )  # fmt: skip
    yield from both(
        "huge", instead(lambda f: f.create_dataset(_KERNEL, (10**6, 10**6), "f4", chunks=(64, 64))),
        "refused", "should take 4000000000000 bytes",
    )  # fmt: skip
    zeros = np.zeros((4000, 4000), "f4")
    yield from both(
        "bomb", instead(lambda f: f.create_dataset(_KERNEL, data=zeros, chunks=(1000, 1000), compression=9)),
        "refused", "unpacks",
    )  # fmt: skip
    yield from both(
        "objects", instead(lambda f: f.create_dataset(_KERNEL, (3, 12), h5py.string_dtype())),
        "refused", "should hold floats",
    )  # fmt: skip
    nan = np.full((3, 12), np.nan, "f4")
    yield from both("nan", instead(lambda f: f.create_dataset(_KERNEL, data=nan)), "warned")
    yield from both("circle", lambda f: f[_KERNEL].parent.__setitem__("up", f["/"]), "either")
    whole = corner.good["weights.h5"]
    attribute = whole.find(b"\x19\1\1\0\x10\0\0\0")  # the type of a text of any length
    assert attribute > 0
    yield Case("h5_type.weights.h5", whole[: attribute + 1] + b"\x0f" + whole[attribute + 2 :], told="")


def _set(file: h5py.File, link: object) -> None:
    file[_KERNEL] = link


def _virtual(file: h5py.File, secret: str) -> None:
    layout = h5py.VirtualLayout((3, 12), "f4")
    layout[:] = h5py.VirtualSource(secret, "x", (3, 12))
    file.create_virtual_dataset(_KERNEL, layout)


def _changed(whole: bytes, change: Callable[[h5py.File], object]) -> bytes:
    made = io.BytesIO(whole)
    with h5py.File(made, "r+") as file:
        change(file)
    return made.getvalue()
