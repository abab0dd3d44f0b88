"""Assembles the command from its subcommands."""

import sys


def main() -> None:
    """Run the command line."""
    print("grubridge: no subcommand is installed", file=sys.stderr)
    sys.exit(2)
