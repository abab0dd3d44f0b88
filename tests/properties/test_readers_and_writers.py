"""Whatever a reader accepts, every writer refuses, or writes a file that reads back bit for bit."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import grubridge
from grubridge.errors import GRUBridgeError, UnsupportedFeatureError
from tests.properties.specs import difference
from tests.zoo import make_spec, member

ENDINGS = (".keras", ".h5", ".weights.h5", ".pt", ".safetensors", ".onnx")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
MADE = ("reset_after", "mixed_layers", "float16", "initial_state", "hard_sigmoid_keras_2")
SETTINGS = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def _seeds(folder: Path) -> dict[str, bytes]:
    """Model files to change: the samples, and a few GRUs in every format."""
    found = {
        path.name: path.read_bytes()
        for path in sorted(SAMPLES.iterdir())
        if path.suffix in {".keras", ".h5", ".onnx", ".pt"}
    }
    for name in MADE:
        for ending in ENDINGS:
            path = folder / f"{name}{ending}"
            try:
                grubridge.write(member(name), path)
            except UnsupportedFeatureError:
                continue
            found[path.name] = path.read_bytes()
    return found


with tempfile.TemporaryDirectory(prefix="grubridge-seeds-") as _folder:
    SEEDS = _seeds(Path(_folder))


def _carried(source: bytes, name: str) -> int:
    """Read a file; write all that it holds in every way, and read that. Return how many GRUs there were."""
    with tempfile.TemporaryDirectory(prefix="grubridge-property-") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that overflow when they are summed
        warnings.filterwarnings("ignore", ".* holds NaN or infinity")
        folder = Path(made)
        path = folder / name
        path.write_bytes(source)
        try:
            specs = [grubridge.read(path, stack) for stack in grubridge.list_stacks(path)]
        except GRUBridgeError:
            return 0
        for spec in specs:
            for ending in ENDINGS:
                target = folder / f"target{ending}"
                try:
                    written = grubridge.write(spec, target, force=True)
                except UnsupportedFeatureError:
                    assert not target.exists() or ending != ".onnx"
                    continue
                merged = any("summed" in record.actions for record in written.records)
                assert difference(spec, grubridge.read(target), summed=merged) == "", ending
        return len(specs)


def test_seeds_are_accepted() -> None:
    assert len(SEEDS) >= 20
    for name, content in SEEDS.items():
        assert _carried(content, name), name


@SETTINGS
@given(
    name=st.sampled_from(sorted(SEEDS)),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3),
    cut=st.none() | st.floats(0, 1),
)
def test_bytes_changed(name: str, places: list[tuple[float, int]], cut: float | None) -> None:
    content = bytearray(SEEDS[name])
    for place, value in places:
        content[int(place * (len(content) - 1))] = value
    if cut is not None:
        del content[int(cut * len(content)) :]
    event("accepted" if _carried(bytes(content), name) else "refused")


_VALUES: list[object] = [0, -1, 1, 2**31, 2**63, 1e400, 0.5, "4", None, True, [], {}, "gru"]


@SETTINGS
@given(
    name=st.sampled_from([name for name in sorted(SEEDS) if name.endswith(".keras")]),
    path=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    value=st.sampled_from(_VALUES),
)
def test_a_configuration_changed(name: str, path: list[int], value: object) -> None:
    """In an archive that is right all around it."""
    entries = _entries(SEEDS[name])
    config = json.loads(entries["config.json"])
    _replace(config, path, value)
    event("accepted" if _carried(_zip(entries, "config.json", json.dumps(config)), name) else "refused")


def _replace(value: Any, path: list[int], new: object) -> None:
    """Follow the path as far as there is one, and put something else at its end."""
    for step, left in enumerate(reversed(range(len(path)))):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = keys[path[step] % len(keys)]
        if not left or not isinstance(value[key], (dict, list)) or not value[key]:
            value[key] = new
            return
        value = value[key]


@settings(SETTINGS, max_examples=300)
@given(
    name=st.sampled_from([name for name in sorted(SEEDS) if name.endswith(".pt")]),
    place=st.floats(0, 1),
    change=st.integers(-2, 2),
)
def test_a_pickle_changed(name: str, place: float, change: int) -> None:
    """In an archive that is right all around it."""
    entries = _entries(SEEDS[name])
    (pickled,) = (one for one in entries if one.endswith("data.pkl"))
    content = bytearray(entries[pickled])
    at = int(place * (len(content) - 1))
    content[at] = (content[at] + change) % 256
    event("accepted" if _carried(_zip(entries, pickled, bytes(content)), name) else "refused")


def _entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(entries: Mapping[str, bytes], changed: str, content: bytes | str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, old in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content if name == changed else old)
    return made.getvalue()


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_bits_are_kept(ending: str, tmp_path: Path) -> None:
    """NaN of any payload, infinities, both zeros and subnormal numbers among them."""
    spec = make_spec("odd", seed=40)
    rng = np.random.default_rng(1)
    odd = np.array([0x7FC00001, 0xFF800000, 0x7F800000, 0x80000000, 1, 0x807FFFFF], "u4").view("f4")
    for _, array in spec.arrays():
        array.flags.writeable = True
        array.flat[rng.integers(0, array.size, 2)] = rng.choice(odd, 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* holds NaN or infinity")
        grubridge.write(spec, tmp_path / f"model{ending}")
        assert difference(spec, grubridge.read(tmp_path / f"model{ending}")) == ""
