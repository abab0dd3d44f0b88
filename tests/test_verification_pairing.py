"""Which GRU of one file verify holds against which of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from grubridge.checker.verdict import Verdict
from grubridge.conversion import write
from grubridge.errors import BackendError, ProbeError, StackSelectionError
from grubridge.spec import GRUSpec
from grubridge.verification import verify
from tests.simulated import Runtimes
from tests.zoo import make_spec


def _two_stacks(folder: Path, name: str, stacks: dict[str, GRUSpec]) -> Path:
    """A safetensors file of several nn.GRU, each under its own prefix."""
    from safetensors.numpy import load_file, save_file

    tensors = {}
    for prefix, spec in stacks.items():
        write(spec, folder / "one.safetensors", force=True)
        tensors.update(
            {f"{prefix}.{key}": array for key, array in load_file(folder / "one.safetensors").items()}
        )
    save_file(tensors, folder / name)
    return folder / name


SMALL, OTHER = make_spec("small", seed=41), make_spec("other", sizes=(3, 4), seed=42)


def test_several_stacks_are_paired_by_name(runtimes: Runtimes, tmp_path: Path) -> None:
    one = _two_stacks(tmp_path, "a.safetensors", {"enc": SMALL, "dec": OTHER})
    other = _two_stacks(tmp_path, "b.safetensors", {"dec": OTHER, "enc": SMALL})
    report = verify(one, other)

    assert report.verdict is Verdict.EQUIVALENT
    assert [Path(one.label).name for one in report.artifacts] == [
        "a.safetensors#dec",
        "b.safetensors#dec",
        "a.safetensors#enc",
        "b.safetensors#enc",
    ]
    assert len(runtimes.inputs) == 4


def test_stacks_of_other_names_need_a_mapping(runtimes: Runtimes, tmp_path: Path) -> None:
    one = _two_stacks(tmp_path, "a.safetensors", {"enc": SMALL, "dec": OTHER})
    other = _two_stacks(tmp_path, "b.safetensors", {"first": SMALL, "second": OTHER})
    with pytest.raises(StackSelectionError, match=r"cannot be paired by name.*--map A=B") as raised:
        verify(one, other)
    assert set(raised.value.candidates) == {"enc", "dec", "first", "second"}

    assert verify(one, other, mapping={"enc": "first"}).verdict is Verdict.EQUIVALENT
    assert verify(one, other, mapping={"enc": "first", "dec": "second"}).verdict is Verdict.EQUIVALENT
    assert verify(one, other, mapping={"enc": "second"}).verdict is Verdict.DIFFERENT
    with pytest.raises(StackSelectionError, match="no GRU is called 'encoder'"):
        verify(one, other, mapping={"encoder": "first"})
    assert len(runtimes.inputs) == 6


def test_chosen_stack_is_compared_with_the_only_one_of_another_file(
    runtimes: Runtimes, tmp_path: Path
) -> None:
    one = _two_stacks(tmp_path, "a.safetensors", {"enc": SMALL, "dec": OTHER})
    other = tmp_path / "b.onnx"
    write(OTHER, other)
    assert verify(one, other, stack="dec").verdict is Verdict.EQUIVALENT
    assert len(runtimes.inputs) == 2
    with pytest.raises(StackSelectionError, match="no GRU is called 'nothing'"):
        verify(one, other, stack="nothing")


def test_arguments_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    path = _two_stacks(tmp_path, "a.safetensors", {"gru": SMALL})
    with pytest.raises(StackSelectionError, match="takes the place of --stack"):
        verify(path, path, stack="gru", mapping={"gru": "gru"})
    with pytest.raises(StackSelectionError, match="two files or more"):
        verify(path, mapping={"gru": "gru"})
    with pytest.raises(ProbeError, match="leave out seed, batch, steps and lengths"):
        verify(path, inputs=tmp_path / "x.npy", steps=100)
    with pytest.raises(BackendError, match="unknown device 'gpu'; known: auto, cpu, cuda"):
        verify(path, device="gpu")
    with pytest.raises(BackendError, match="unknown backend 'torch'"):
        verify(path, backends=["torch"])
