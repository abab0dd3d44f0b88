"""Every reader of grubridge, as a function of one file, with the seeds and the mutation that suit it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.checker.recording import read_recording
from grubridge.conversion import write
from grubridge.errors import UnsupportedFeatureError
from grubridge.explanation.inputs import read_inputs
from grubridge.explanation.typed import typed_weights
from grubridge.files.checkpoint_names import index_of
from grubridge.files.json_data import parse_json
from grubridge.files.zips import read_entry, read_zip
from grubridge.formats.base import ReadHints
from grubridge.formats.keras.contents import layer_io
from grubridge.formats.keras.layout import cell_settings
from grubridge.formats.keras.model import read_model
from grubridge.formats.pytorch.pickle_reader import load
from grubridge.layouts.toml import load as load_layout
from grubridge.suite.lock import read_lock
from grubridge.suite.reading import read_manifest

from . import containers, seeds, values

__all__ = ["READERS", "Reader"]

_TARGETS = (".safetensors", ".pt", ".keras", ".onnx")
_LAYOUTS = ("pytorch", "keras", "d2l", "tf1-gru-cell", "keras-bidirectional", "flax-linen")
_WRITTEN, _SHOWN, _DESCRIBED = 8, 4, 16
"""One input of so many is also written anew, shown by inspect, and read with a layout."""


@dataclass(frozen=True)
class Reader:
    """One reader.

    Args:
        file: the name of the file that it is given.
        read: reads it.
        seeds: yields files that are whole.
        mutate: changes a file so that what is around the change still fits.
        share: of all inputs, in per mille.
        limit: the longest input in bytes.
    """

    file: str
    read: Callable[[Path], object]
    seeds: seeds.Seeds
    mutate: Callable[[bytes, Random], bytes]
    share: int
    limit: int = 1 << 16


def _model(path: Path) -> None:
    """Read a model as the commands do; a part of the inputs is written anew and read back."""
    key = zlib.crc32(path.read_bytes())
    hints = ReadHints(layout=_LAYOUTS[key >> 8 & 3]) if key % _DESCRIBED == 1 else None
    if key % _SHOWN == 0:
        found = grubridge.inspect(path)
        grubridge.render(found)
        grubridge.to_json(found)
        return
    artifact = open_artifact(path, hints=hints)
    if not artifact.contents.stacks:
        artifact.select()
    for entry in artifact.contents.stacks:
        spec = artifact.read(entry)
        if key % _WRITTEN == 1:
            target = path.with_name("written" + _TARGETS[key >> 4 & 3])
            try:
                write(spec, target, force=True)  # reads it back, bit for bit
            except UnsupportedFeatureError:
                continue


def _config(path: Path) -> None:
    model = read_model(parse_json(path.read_bytes(), "config.json"), "config.json")
    for layer in model.layers:
        for cell in layer.cells:
            cell_settings(cell, 3, "config.json")
        layer_io(layer, "config.json")


def _archive(path: Path) -> None:
    for entry in read_zip(path).values():
        read_entry(path, entry, 16 << 20)


READERS = {
    "json": Reader(
        "x.json", lambda p: parse_json(p.read_bytes(), "x"), seeds.configs, values.json_tree, 70, 1 << 14
    ),
    "keras-config": Reader("x.json", _config, seeds.configs, values.json_tree, 160, 1 << 14),
    "pickle": Reader("x.pkl", lambda p: load(p.read_bytes(), "x"), seeds.pickles, values.pickle, 140),
    "zip": Reader("x.zip", _archive, seeds.archives, containers.archive, 70),
    "safetensors": Reader("x.safetensors", _model, seeds.safetensors, containers.safetensors, 110),
    "pytorch": Reader("x.pt", _model, seeds.checkpoints, containers.archive, 80),
    "onnx": Reader("x.onnx", _model, seeds.onnx_models, values.protobuf, 110),
    "recording": Reader("x.npz", read_recording, seeds.recordings, containers.archive, 50),
    "inputs": Reader("x.csv", lambda p: read_inputs(p, seeds.spec()), seeds.tables, values.text, 30),
    "typed": Reader("x.json", lambda p: typed_weights(p, ReadHints()), seeds.typed, values.json_tree, 30),
    "layout": Reader("x.toml", load_layout, seeds.layouts, values.text, 40),
    "manifest": Reader("x.toml", read_manifest, seeds.manifests, values.text, 30),
    "lock": Reader("x.json", read_lock, seeds.locks, values.json_tree, 20),
    "checkpoint": Reader("checkpoint", index_of, seeds.states, values.text, 15),
    "keras": Reader("x.keras", _model, seeds.keras, containers.archive, 20),
    "hdf5": Reader("x.h5", _model, seeds.hdf5, containers.hdf5, 25),
}
"""By name; the shares are 1000 in all."""
