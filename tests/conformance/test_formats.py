"""Every format, with every spec of the zoo: a bit-exact round trip, or a refusal with its reasons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge.errors import UnsupportedFeatureError
from grubridge.formats.registry import FORMATS, SUFFIXES, adapter
from grubridge.reference import run
from grubridge.spec import Array, GRUSpec, unsupported
from grubridge.traces import Probe, Trace
from tests.zoo import ZOO

ENDINGS = (".keras", ".h5", ".weights.h5", ".pt", ".safetensors", ".onnx")


def _format(ending: str) -> str:
    return SUFFIXES["." + ending.rsplit(".", 1)[1]]


def _reasons(spec: GRUSpec, ending: str) -> tuple[str, ...]:
    if spec.dtype.name == "bfloat16" and ending == ".h5":
        return ("the weights are bfloat16, and Keras itself cannot load them from .h5",)
    return unsupported(spec, adapter(_format(ending)).CAPABILITIES, _format(ending))


def _run(spec: GRUSpec) -> Trace:
    random = np.random.default_rng(7)
    x = random.standard_normal((3, 9, spec.input_size))
    states = {
        (layer, way): random.uniform(-1, 1, (3, direction.hidden_size))
        for layer, way, direction in spec.directions()
        if direction.initial_state is None
    }
    return run(spec, Probe(x, states, np.array([9, 4, 1])))


def _weights(spec: GRUSpec) -> dict[str, Array]:
    return {name: array for name, array in spec.arrays() if "weight" in name or "state" in name}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_round_trip_or_refusal(spec: GRUSpec, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    reasons = _reasons(spec, ending)

    if reasons:
        with pytest.raises(UnsupportedFeatureError) as refused:
            grubridge.write(spec, path)
        assert [found[:40] for found in refused.value.features] == [reason[:40] for reason in reasons]
        assert list(tmp_path.iterdir()) == []
        return
    written = grubridge.write(spec, path)
    back = grubridge.read(path)

    assert back.dtype == spec.dtype
    assert _weights(back).keys() == _weights(spec).keys()
    for name, array in _weights(spec).items():
        assert _weights(back)[name].tobytes() == array.tobytes(), name
    summed = max(record.largest_change for record in written.records)
    assert (summed > 0) == (spec.name == "reset_before_split_bias" and _format(ending) == "keras")
    for place, expected in _run(spec).places.items():
        # zeros for an absent bias change no bit of the float64 equations; a sum changes its last ones
        np.testing.assert_allclose(_run(back).places[place].hidden, expected.hidden, rtol=0, atol=20 * summed)


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_every_way_round_the_formats_ends_where_it_began(spec: GRUSpec, tmp_path: Path) -> None:
    fitting = [ending for ending in ENDINGS if not _reasons(spec, ending)]
    path = tmp_path / f"0{fitting[0]}"
    grubridge.write(spec, path)
    first = path
    for number, ending in enumerate([*fitting[1:], *fitting], start=1):
        following = tmp_path / f"{number}{ending}"
        assert grubridge.convert(path, following).exact
        path = following

    begun, ended = dict(grubridge.read(first).arrays()), dict(grubridge.read(path).arrays())
    for name in begun.keys() | ended.keys():
        if name in begun and name in ended:
            assert begun[name].tobytes() == ended[name].tobytes(), name
        else:
            # a zero that stands for an absent bias
            assert "bias" in name
            assert not np.any((begun | ended)[name]), name


def test_the_table_of_endings_is_the_adapters_own() -> None:
    endings = {"." + suffix.rsplit(".", 1)[1]: name for name in FORMATS for suffix in adapter(name).SUFFIXES}

    assert endings == SUFFIXES
