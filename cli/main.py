"""The entry point: signals are handled first, so that Ctrl-C during the imports ends as quietly as later."""

from __future__ import annotations

import gc
from typing import NoReturn

from .console import COULD_NOT, SIGNALLED, leave, run_guarded, unwind_on_signals


def main() -> NoReturn:
    """Run the command line."""
    gc.disable()  # a command is short, and to search what it imports for cycles takes a tenth of it
    unwind_on_signals()
    try:
        run_guarded(_command)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else COULD_NOT
        if code > SIGNALLED:
            raise  # a signal may have come while something was made or removed: the interpreter tidies up
        leave(code)


def _command() -> object:
    from .commands import app

    return app(standalone_mode=False)
