"""A process that checks pairs: `python -m grubridge.suite.worker`, started and asked by `workers`.

It answers {"task": a pair and the way to check it, "folder": the working folder} with {"result": ...}. Before
that it may ask to have models run: {"requests": [...]}, and is told {"answers": [...]}. It starts no runtime
itself, so that all workers share the same processes of them.
"""

from __future__ import annotations

import base64
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from grubridge.backends.pool import Request
from grubridge.files.child_process import Message, Parent

from .pair import check_pair

__all__ = ["main", "packed", "unpacked"]


def packed(value: object) -> str:
    """Return a value of grubridge's own as text."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:  # noqa: ANN401 - whatever was packed
    """Return what `packed` was given; only for texts between a process and its own child."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - see above


def main() -> None:
    """Serve tasks until there are no more."""
    parent = Parent()
    messages = iter(parent)

    def serve(requests: Sequence[Request]) -> list[Message]:
        parent.tell({"requests": [asdict(request) for request in requests]})
        answers: list[Message] = next(messages)["answers"]
        return answers

    for message in messages:
        os.chdir(message["folder"])  # reports name files as the user did
        pair, way = unpacked(message["task"])
        parent.tell({"result": packed(check_pair(pair, way, serve))})


if __name__ == "__main__":
    main()
