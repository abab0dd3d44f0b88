"""Cells typed from their equations, stored in random ways: what is found computes the same on any input."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.identification import find


@pytest.mark.parametrize("number", range(30))
def test_the_layout_is_found(number: int, tmp_path: Path) -> None:
    found = find(number, tmp_path)

    assert found.error < 1e-12, found.kind
    assert found.ties == 0
