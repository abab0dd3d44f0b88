"""Which machine this is, as far as it matters for the last bit of a result and can be told at once."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

__all__ = ["SWITCHES", "machine"]

_GPUS = Path("/proc/driver/nvidia")
_CPU = Path("/proc/cpuinfo")
SWITCHES = (
    "ATEN_CPU_CAPABILITY",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
"""Environment variables with which frameworks choose other kernels."""


@cache
def machine() -> str:
    """Return the processor and its instruction sets, the GPUs and their driver, and what chooses kernels."""
    return "\n".join([platform.system(), platform.machine(), *_processor(), *_gpus(), *_switches()])


def _processor() -> Iterator[str]:
    """What Linux says of the first core, as far as it is the same at every look; else what Python knows."""
    found = False
    for line in _lines(_CPU):
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "flags", "Features", "CPU part"}:
            found = True
            yield value.strip()
        if not line.strip():
            break
    if not found:
        yield platform.processor()


def _gpus() -> Iterator[str]:
    for path in sorted(_GPUS.glob("gpus/*/information")):
        yield from (line.partition(":")[2].strip() for line in _lines(path) if line.startswith("Model:"))
    yield from islice(_lines(_GPUS / "version"), 1)


def _lines(path: Path) -> Iterator[str]:
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        yield from file


def _switches() -> Iterator[str]:
    return (f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ)
