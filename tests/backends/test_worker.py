"""What a process of a runtime lets a run take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grubridge.backends.worker import _run
from grubridge.spec import Gates
from grubridge.traces import DirectionTrace, Probe, Trace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory there is")

PROBE = Probe(np.ones((1, 2, 3)), {(0, "forward"): np.zeros((1, 2))}, np.array([2]))
MORE = 1 << 40


class _Backend:
    """Notes the limit that holds while it runs."""

    def __init__(self) -> None:
        self.limit = 0

    def run(self, _artifact: object, probe: Probe, device: str, *, allow_tf32: bool) -> Trace:
        self.limit = _limit()
        gates = Gates(*(np.ones((1, 2, 2)) for _ in range(3)))
        made = DirectionTrace(
            np.ones((1, 2, 2)), probe.initial_state[0, "forward"], np.ones((1, 2, 2)), gates, "observed"
        )
        told: dict[str, Any] = {"kernel": "none", "precision": f"{allow_tf32}", "notes": ()}
        return Trace("fake", "1", device, "float64", native=True, places={(0, "forward"): made}, **told)


def _limit() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("memory", [MORE, None])
def test_a_run_on_the_cpu_has_a_limit(tmp_path: Path, device: str, memory: int | None) -> None:
    PROBE.save(tmp_path / "probe.npz")
    backend: Any = _Backend()
    before = _limit()
    request = {
        "device": device,
        "probe": str(tmp_path / "probe.npz"),
        "trace": str(tmp_path / "trace.npz"),
        "artifact": {"path": "a", "format": "fake", "address": {}},
        "allow_tf32": False,
        "files": {},
        "memory": memory,
    }

    assert _run(backend, ("cpu", "cuda"), request) == {}

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    if device == "cpu" and memory is not None:
        assert abs(backend.limit - MORE - 4096 * pages) < 64 << 20  # beside what there is
    else:
        assert backend.limit == before
    assert _limit() == before
