"""Limits of memory and time: what holds where, and how much of it each part of a file may take."""

import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

import grubridge
from grubridge.errors import UnsafeFileError
from grubridge.files import limits as room
from grubridge.files.limits import Limits, allowed, current, limits, memory_advice, physical_memory
from grubridge.files.opening import check_budget

MIB = 1 << 20
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "digits_bidirectional.keras"


def test_limits_hold_inside_and_nowhere_else() -> None:
    assert current() == Limits(None, None)
    with grubridge.limits(max_memory=5) as outer:
        assert outer == current() == Limits(5, None)
        with limits(timeout=0.5):
            assert current() == Limits(5, 0.5)
            with limits(max_memory=7, timeout=9):
                assert current() == Limits(7, 9)
        assert current() == Limits(5, None)
        elsewhere: list[Limits] = []
        thread = threading.Thread(target=lambda: elsewhere.append(current()))
        thread.start()
        thread.join()
        assert elsewhere == [Limits(None, None)]
    with pytest.raises(KeyError), limits(timeout=3):
        raise KeyError
    assert current() == Limits(None, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_memory": 0}, "max_memory must be above 0; received 0"),
        ({"max_memory": -1}, "max_memory must be above 0; received -1"),
        ({"timeout": 0.0}, "timeout must be above 0; received 0.0"),
        ({"timeout": float("nan")}, "timeout must be above 0; received nan"),
    ],
)
def test_what_is_no_limit(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"), limits(**given):
        pass


@pytest.mark.parametrize("timeout", [1e10, float("inf")])
def test_a_limit_may_be_for_ever(timeout: float) -> None:
    with limits(timeout=timeout):
        assert grubridge.read(SAMPLE).layers  # HDF5, in a process with that limit
        timer = threading.Timer(current().timeout or 0, print)
        timer.start()
        timer.join(0.05)
        assert timer.is_alive()
        timer.cancel()


def test_parts_of_a_file_share_the_memory() -> None:
    """Each has its share of 1 GiB; with half of that, half of its share."""
    assert allowed(16 * MIB) == 16 * MIB
    with limits(max_memory=512 * MIB):
        assert allowed(16 * MIB) == 8 * MIB
    with limits(max_memory=4096 * MIB):
        assert allowed(1024 * MIB) == 4096 * MIB


def test_the_error_says_what_would_be_enough() -> None:
    path = Path("a\x1b.pt")
    check_budget(path, 16 * MIB, "the part", 16 * MIB)
    with pytest.raises(UnsafeFileError) as caught:
        check_budget(path, 33 * MIB, "the \x1bpart", 16 * MIB)
    assert str(caught.value) == (
        "a\\x1b.pt: the \\x1bpart would take 33 MiB of memory, more than the 16 MiB that are allowed for it; "
        "no real model needs that: the file is damaged or hostile. If you trust it: --max-memory 2112MiB"
    )
    with limits(max_memory=2112 * MIB):
        check_budget(path, 33 * MIB, "the part", 16 * MIB)
    with limits(max_memory=64 * MIB), pytest.raises(UnsafeFileError) as caught:
        check_budget(path, 3 * MIB, "the part", 16 * MIB)
    assert str(caught.value) == (
        "a\\x1b.pt: the part would take 3 MiB of memory, more than the 1 MiB that --max-memory 64MiB allows "
        "for it; --max-memory 192MiB is enough"
    )
    with limits(max_memory=192 * MIB):
        check_budget(path, 3 * MIB, "the part", 16 * MIB)
    with (
        limits(max_memory=1000),
        pytest.raises(UnsafeFileError, match=r"take 2,000 bytes .* more than the 15 by"),
    ):
        check_budget(path, 2000, "the part", 16 * MIB)


def test_a_framework_has_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = re.search(
        r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE
    )
    assert told is not None
    monkeypatch.setattr(room, "_CGROUPS", (tmp_path / "missing", tmp_path / "memory.max"))
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert physical_memory() == current().running == 1024 * int(told[1])

    (tmp_path / "memory.max").write_text("1000000\n", encoding="ascii")  # a container
    assert physical_memory() == current().running == 1_000_000

    with limits(max_memory=5):
        assert current().running == 5
    monkeypatch.delattr(os, "sysconf")
    (tmp_path / "memory.max").unlink()
    assert physical_memory() is None


@pytest.mark.parametrize(
    "words",
    [
        "MemoryError: ",
        "Unable to allocate 3 GiB",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OOM when allocating",
        "its process was killed by SIGKILL before it answered",
    ],
)
def test_words_of_memory_are_known(words: str) -> None:
    assert memory_advice(words, 3 * MIB) == (
        "3MiB of memory beside its own were allowed; --max-memory SIZE allows more"
    )
    assert memory_advice(words, None) == ""


def test_other_words_are_not_of_memory() -> None:
    assert memory_advice("room for a zoom", 3) == memory_advice("", 3, died=True) == ""
    with limits(max_memory=3 * MIB):
        assert memory_advice("", 3 * MIB, died=True).startswith("3MiB")
        assert memory_advice("", 3 * MIB) == ""
