"""./run bench [PART ...]: claims, measured; exit 1 where one does not hold. Without a part, all of them.

The long ones keep what they measured in the folder of results, and go on from there when called again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from benchmarks import (  # noqa: E402 - found through the line above
    campaign,
    detection,
    diagnosis,
    ensemble,
    fuzz,
    guard,
    identification,
    kills,
    large,
    speed,
    startup,
    suite,
    table,
    tools,
)


class _Row(Protocol):
    @property
    def holds(self) -> bool: ...


_Part = tuple[str, Callable[[], Iterator[_Row]]]


def _parts(options: argparse.Namespace) -> dict[str, _Part]:
    folder, processes = options.results, options.processes
    return {
        "startup": (table.HEADER, startup.rows),
        "large": (table.HEADER, large.rows),
        "guard": (table.HEADER, guard.rows),
        "kills": (kills.HEADER, kills.rows),
        "speed": (table.HEADER, speed.rows),
        "suite": (table.HEADER, suite.rows),
        "tools": (tools.HEADER, tools.rows),
        "fuzz": (fuzz.HEADER, lambda: fuzz.rows(folder, options.inputs, processes)),
        "campaign": (campaign.HEADER, lambda: campaign.rows(folder, options.elements, processes)),
        "diagnosis": (diagnosis.HEADER, diagnosis.rows),
        "detection": (detection.HEADER, lambda: detection.rows(folder, options.cases, processes)),
        "identification": (
            identification.HEADER,
            lambda: identification.rows(folder, 2 * options.cases, processes),
        ),
        "ensemble": (ensemble.HEADER, lambda: ensemble.rows(folder, options.cases, processes)),
    }


def main(arguments: list[str]) -> int:
    """Run the named parts, or all of them."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("part", nargs="*", help="which to run; without one, all (hours)")
    parser.add_argument("--results", type=Path, default=_ROOT / "build" / "benchmarks", help="folder")
    parser.add_argument("--elements", type=float, default=3e8, help="hidden states of the campaign")
    parser.add_argument("--inputs", type=float, default=2e6, help="of all readers, to fuzz")
    parser.add_argument("--cases", type=int, default=100, help="random GRUs for every fault to detect")
    parser.add_argument("--processes", type=int, default=2, help="side by side, of the long ones")
    options = parser.parse_args(arguments)
    parts = _parts(options)
    unknown = [name for name in options.part if name not in parts]
    if unknown:
        print(f"unknown part {', '.join(unknown)}; there are: {', '.join(parts)}", file=sys.stderr)
        return 2
    held = True
    for name in options.part or parts:
        header, rows = parts[name]
        print(f"{name}\n{header}")
        for row in rows():
            print(row, flush=True)
            held = held and row.holds
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
