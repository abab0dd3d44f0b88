"""What a failed assertion says: counted as assert_close counts, and where, and why."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grubridge
from grubridge.conversion import write
from grubridge.errors import BackendError
from grubridge.spec import GRUSpec
from grubridge.testing import assert_equivalent
from tests.mistakes import MISTAKES
from tests.simulated import Runtimes
from tests.torch_grus import random_gru
from tests.zoo import make_spec

SPEC = make_spec("right", sizes=(4, 5, 5), directions="both", seed=40)
ELEMENTS = re.compile(r"^Mismatched elements: (\d+) / (\d+) \((.*)%\)$", re.MULTILINE)
GREATEST = re.compile(
    r"^Greatest absolute difference: (\S+) at index \((\d+), (\d+), (\d+)\) \(up to (\S+) allowed\)$",
    re.MULTILINE,
)


def _written(folder: Path, name: str, spec: GRUSpec = SPEC) -> Path:
    write(spec, folder / name)
    return folder / name


def _words(*models: object, **settings: object) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(*models, **settings)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_numbers_the_place_and_the_cause(runtimes: Runtimes, tmp_path: Path) -> None:
    wrong = MISTAKES["update and reset exchanged"](SPEC)
    files = _written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx", wrong)

    said = _words(*files)

    assert said.startswith("GRUs are not equivalent!\n\nMismatched elements: ")
    assert len(runtimes.inputs) == 2
    mismatched, total, percent = _found(ELEMENTS, said)
    lengths = runtimes.inputs[0].probe.lengths
    assert lengths is not None
    assert int(total) == int(lengths.sum()) * 5
    assert 0 < int(mismatched) <= int(total)
    assert float(percent) == pytest.approx(100 * int(mismatched) / int(total), abs=0.05)
    difference, batch, time, unit, allowed = _found(GREATEST, said)
    assert float(difference) > 1e-3
    assert float(allowed) < 1e-5
    assert int(time) < int(lengths[int(batch)])
    assert int(unit) < 5
    unwrapped = " ".join(said.split())
    assert (
        "The failure occurred for layer 0 forward, hidden state, update gate, reset gate, candidate, "
        "from step"
    ) in unwrapped
    assert "DIFFERENT: B is not the function of A" in said
    assert (
        "why: gate order: in every layer and direction the update and reset gates are exchanged" in unwrapped
    )
    assert f"mend: grubridge verify {files[0]} {files[1]} --fix NEW" in said


def _found(pattern: re.Pattern[str], said: str) -> tuple[str, ...]:
    found = pattern.search(said)
    assert found is not None, said
    return found.groups()


def test_the_greatest_difference_is_where_torch_says_it_is(torch: ModuleType) -> None:
    """A single layer from zero states: what is held step by step is then at step 0 what assert_close sees."""
    one, other = random_gru(batch_first=True), random_gru(batch_first=True)
    with torch.no_grad():
        other.get_parameter("bias_ih_l0")[0] += 0.5
    x = np.random.default_rng(2).standard_normal((4, 1, 5)).astype(np.float32)
    with torch.no_grad():
        expected, received = (gru(torch.from_numpy(x))[0] for gru in (one, other))
    with pytest.raises(AssertionError) as caught:
        torch.testing.assert_close(received, expected, rtol=0.0, atol=1e-5)
    theirs = str(caught.value)

    said = _words(one, other, inputs=x)

    assert _found(ELEMENTS, said) == _found(ELEMENTS, theirs)
    mine, torchs = _found(GREATEST, said), _found(GREATEST, theirs)
    assert mine[1:4] == torchs[1:4]
    assert float(mine[0]) == pytest.approx(float(torchs[0]), rel=1e-2)
    assert _found(ELEMENTS, _words(one, other, inputs=x, atol=1e-5)) == _found(ELEMENTS, theirs)
    assert _found(GREATEST, _words(one, other, inputs=x, atol=1e-5))[1:] == torchs[1:]


def test_a_tolerance_of_ones_own_decides(torch: ModuleType) -> None:
    one, other = random_gru(), random_gru()
    with torch.no_grad():
        other.get_parameter("weight_hh_l0").add_(1e-4)

    assert_equivalent(one, other, atol=1e-2)
    said = _words(one, other, atol=1e-7, rtol=1e-6)

    assert "Greatest difference relative to what is allowed: " in said
    assert "The failure occurred for layer 0 forward, hidden state, running free\n" in said
    assert "beyond your own tolerance (atol 1e-07, rtol 1e-06)" in " ".join(said.split())
    assert _words(one, other).startswith("GRUs are not equivalent!")


def test_other_shapes(torch: ModuleType) -> None:
    del torch
    said = _words(random_gru(), random_gru(num_layers=2))

    assert said == (
        "GRUs are not equivalent!\n\n"
        "A  GRU in memory (float32), not run\n"
        "B  GRU in memory (2) (float32), not run\n"
        "DIFFERENT: these GRUs are not of one shape\n"
        "why: structure: GRU in memory has 1 layer, GRU in memory (2)\n  has 2 layers"
    )


def test_inconclusive_is_no_pass(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.fails["onnxruntime"] = BackendError("b.onnx: onnxruntime failed: out of memory")

    said = _words(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"))

    assert said.startswith(
        "Whether the GRUs are equivalent is not known: not everything\n"
        "could be run and judged, and that is no pass.\n\n"
    )
    assert "INCONCLUSIVE: not everything could be run and judged" in said
    assert "why: failed: b.onnx: onnxruntime failed: out of memory" in said


def test_models_in_memory_are_mended_by_their_owner(torch: ModuleType) -> None:
    gru = random_gru()
    other = random_gru()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            reset, update, candidate = getattr(gru, name).chunk(3)
            getattr(other, name).copy_(torch.cat([update, reset, candidate]))

    said = _words(gru, other)

    assert "why: gate order: the update and reset gates are exchanged" in " ".join(said.split())
    assert "mend: make the second model anew from the first" in said
    assert "grubridge verify" not in said


def test_the_report_of_what_passes_is_returned(runtimes: Runtimes, tmp_path: Path) -> None:
    report = assert_equivalent(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"))

    assert grubridge.render(report).splitlines()[-1].startswith("EQUIVALENT: ")
    assert runtimes.inputs
