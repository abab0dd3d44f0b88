"""Machines are told apart by what changes the last bit of a result; one is the same at every look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grubridge.files import machine as module
from grubridge.files.machine import machine

CORE = """processor\t: {number}
model name\t: {name}
cpu MHz\t\t: {speed}
flags\t\t: fpu {flags}

"""


@pytest.fixture(autouse=True)
def _looked_at_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(module, "_GPUS", tmp_path / "nvidia")
    for name in ("ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    machine.cache_clear()
    yield
    machine.cache_clear()


def _machine(folder: Path, name: str = "A", flags: str = "avx2", speed: str = "2596.1") -> str:
    cores = (CORE.format(number=n, name=name, flags=flags, speed=speed) for n in range(2))
    (folder / "cpuinfo").write_text("".join(cores))
    machine.cache_clear()
    return machine()


def test_processor_and_its_instructions_tell_machines_apart(tmp_path: Path) -> None:
    first = _machine(tmp_path)

    assert first == _machine(tmp_path, speed="3100.0")
    assert len({first, _machine(tmp_path, name="B"), _machine(tmp_path, flags="avx2 avx512f")}) == 3
    assert first.count("avx2") == 1  # of one core: reading the rest takes time


def test_gpu_driver_and_switches_tell_machines_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [_machine(tmp_path)]
    gpu = tmp_path / "nvidia" / "gpus" / "0000:01:00.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 42\n")
    seen.append(_machine(tmp_path))
    (tmp_path / "nvidia" / "version").write_text("NVRM version: 570.1\nGCC version: 12\n")
    seen.append(_machine(tmp_path))
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    seen.append(_machine(tmp_path))

    assert len(set(seen)) == 4
    assert "IRQ" not in seen[1]
    assert "GCC" not in seen[2]


def test_without_linux_there_is_still_an_answer() -> None:
    assert machine()
