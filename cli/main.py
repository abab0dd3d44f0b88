"""The entry point: signals are handled first, so that Ctrl-C during the imports ends as quietly as later."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from .interrupts import Stopped, unwind_on_signals

_SIGNALLED = 128


def main() -> NoReturn:
    """Run the command line."""
    gc.disable()  # a command is short, and to search what it imports for cycles takes a tenth of it
    unwind_on_signals()
    try:
        from .console import leave, run_guarded

        leave(run_guarded(_command))
    except Stopped as stopped:
        with suppress(OSError, AttributeError):  # a stderr that is closed is None
            sys.stderr.write("interrupted\n")
            sys.stderr.flush()
        # It may have come while something was made or removed, whose owner has asked to be called at the end.
        # No more than that: modules that were cut off in their import may crash the interpreter's own end.
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way to this half of an end
        os._exit(_SIGNALLED + stopped.args[0])


def _command() -> object:
    from .commands import app

    return app(standalone_mode=False)
