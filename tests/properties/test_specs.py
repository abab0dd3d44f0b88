"""Whatever is done to a spec, in any order, its function stays: transformations, and formats on the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import grubridge
from grubridge.errors import UnsupportedFeatureError
from grubridge.spec import Gate, GRUDirection, GRULayer, GRUSpec
from grubridge.spec.biases import split_biases, sum_biases
from tests.properties.specs import SPECS, difference, equations

ENDINGS = (".keras", ".h5", ".weights.h5", ".pt", ".safetensors", ".onnx")
STEPS = 5


class _Spec(RuleBasedStateMachine):
    """A spec, beside the outputs that its equations gave at first."""

    @initialize(spec=SPECS, seed=st.integers(0, 99))
    def begin(self, spec: GRUSpec, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grubridge-property-"))
        self.files = 0
        self.spec, self.takes, self.turned = spec, False, False
        self.x = np.random.default_rng(seed).normal(size=(STEPS, spec.input_size))
        self.expected = equations(spec, self.x)
        self.rounding = 1e-12

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @invariant()
    def is_the_function_that_it_was(self) -> None:
        x = self.x[::-1] if self.turned else self.x
        found = equations(self.spec, x, takes=self.takes)
        np.testing.assert_allclose(found[::-1] if self.turned else found, self.expected, atol=self.rounding)

    def _each(self, change: Callable[[GRULayer], GRULayer]) -> None:
        self.spec = replace(self.spec, layers=tuple(map(change, self.spec.layers)))

    @rule()
    def widen(self) -> None:
        """To a dtype that holds every number of the others."""
        self.spec = self.spec.astype("float64")

    @precondition(lambda self: not _absent(self.spec, "update"))
    @rule()
    def let_update_take(self) -> None:
        """Negated, z is 1 - z."""
        self._each(lambda layer: _directions(layer, GRUDirection.complement_update))
        self.takes = not self.takes

    @rule()
    def split(self) -> None:
        self._each(lambda layer: split_biases(layer)[0])

    @precondition(lambda self: not any(layer.reset_after for layer in self.spec.layers))
    @rule()
    def merge(self) -> None:
        """Rounded once to the spec's dtype, which is half of the last digit."""
        changes = [sum_biases(layer) for layer in self.spec.layers]
        largest = max((one.largest_change for _, made in changes for one in made.values()), default=0.0)
        self.spec = replace(self.spec, layers=tuple(layer for layer, _ in changes))
        self.rounding += 100 * largest

    @precondition(lambda self: len(list(self.spec.layers[0].directions())) == 1)
    @rule()
    def turn(self) -> None:
        """Reads the other way, for inputs in reverse."""
        self._each(lambda layer: replace(layer, forward=layer.backward, backward=layer.forward))
        self.turned = not self.turned

    @rule(gate=st.sampled_from(["update", "reset"]))
    def lose_a_gate(self, gate: Gate) -> None:
        """Another function: the one whose equations lack the gate."""
        self._each(lambda layer: _directions(layer, lambda one: one.without(gate)))
        x = self.x[::-1] if self.turned else self.x
        found = equations(self.spec, x, takes=self.takes)
        self.expected = found[::-1] if self.turned else found

    @rule(ending=st.sampled_from(ENDINGS))
    def go_through_a_file(self, ending: str) -> None:
        """Written and read, or refused with nothing written."""
        self.files += 1
        path = self.folder / f"{self.files}{ending}"
        try:
            written = grubridge.write(self.spec, path)
        except UnsupportedFeatureError:
            assert not path.exists()
            return
        summed = max((record.largest_change for record in written.records), default=0.0)
        back = grubridge.read(path)
        merged = any("summed" in record.actions for record in written.records)
        assert difference(self.spec, back, summed=merged) == ""
        self.spec = back
        self.rounding += 100 * summed


def _directions(layer: GRULayer, change: Callable[[GRUDirection], GRUDirection]) -> GRULayer:
    changed = {way: change(one) for way, one in layer.directions()}
    return replace(layer, forward=changed.get("forward"), backward=changed.get("backward"))


def _absent(spec: GRUSpec, gate: Gate) -> bool:
    return any(gate in direction.absent_gates for _, _, direction in spec.directions())


TestSpec = _Spec.TestCase
TestSpec.settings = settings(max_examples=200, stateful_step_count=10, deadline=None, derandomize=True)
