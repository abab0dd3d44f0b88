"""grubridge inspect: what GRUs are inside a file, their conventions, what each target could hold."""

from __future__ import annotations

from .console import Output, show
from .options import (
    Candidate,
    From,
    Gates,
    Json,
    Layout,
    MaxMemory,
    ResetAfter,
    SkipUnsafe,
    Source,
    Stack,
    Timeout,
)


def inspect(
    source: Source,
    stack: Stack = None,
    from_format: From = None,
    activation: Candidate = None,
    recurrent_activation: Gates = None,
    reset_after: ResetAfter = None,
    layout: Layout = None,
    skip_unsafe: SkipUnsafe = False,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Show the GRUs inside a file.

    With their conventions, and which formats could hold each of them.
    """
    import grubridge

    Output.as_json = json
    hints = grubridge.ReadHints(activation, recurrent_activation, reset_after, layout, skip_unsafe)
    show(grubridge.inspect(source, stack, from_format=from_format, hints=hints), json=json)
