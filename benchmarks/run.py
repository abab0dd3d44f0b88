"""./run bench [startup | large]: every claim about speed and memory, measured; exit 1 if one fails."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import large, startup
from benchmarks.table import HEADER

PARTS = {"startup": startup.rows, "large": large.rows}


def main(names: list[str]) -> int:
    """Run the named parts, or all of them."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print(HEADER)
    held = True
    for name in names or PARTS:
        for row in PARTS[name]():
            print(row, flush=True)
            held = held and row.holds
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
