"""grubridge's own command line, with HDF5 in a process with limits as it is, or in the process itself.

usage: peer_hdf5.py guarded|unguarded ARGUMENT...
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does, before numpy is there

from grubridge.files import hdf5_guard
from grubridge.files.child_process import Message
from grubridge.files.hdf5_content import Hdf5Content


class _InProcess:
    """Answers as the child does, here."""

    def __init__(self, content: Hdf5Content, _memory: int, _seconds: float, output: Any) -> None:  # noqa: ANN401
        from grubridge.files import hdf5_reader

        self._reader = hdf5_reader._Reader(content, output)  # noqa: SLF001 - what the child has
        self._answer = hdf5_reader._answer  # noqa: SLF001
        self._told: Message = {}

    def tell(self, message: Message) -> None:
        self._told = message

    def hear(self, _timeout: float) -> Message:
        told = self._answer(self._reader, self._told["ask"], self._told["arguments"])
        answer: Message = json.loads(json.dumps(told))
        return answer

    def close(self) -> None:
        self._reader._file.close()  # noqa: SLF001


if sys.argv.pop(1) == "unguarded":
    hdf5_guard._forked = _InProcess  # type: ignore[assignment]  # noqa: SLF001

from grubridge_cli.main import main  # noqa: E402 - the command, with the above in its place

main()
