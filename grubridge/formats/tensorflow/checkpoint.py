"""A TensorFlow checkpoint, read by TensorFlow in a process of its own, which a damaged file may take down.

Source of the format: tensorflow/core/util/tensor_bundle. A tensor's bytes lie in the shards; the index says
where. Keys of TensorFlow 1 are the variables' names. TensorFlow 2 stores the path along which an object
reaches the variable and ".ATTRIBUTES/VARIABLE_VALUE".
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from grubridge.errors import CorruptFileError, FileFormatError, MissingDependencyError
from grubridge.files.checkpoint_names import INDEX, shards
from grubridge.files.child_environment import child_environment
from grubridge.files.limits import current, memory_advice
from grubridge.files.opening import check_openable, shown
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import listed, printable
from grubridge.spec import Array, numpy_dtype

__all__ = ["Checkpoint"]

_TIMEOUT = 300.0
_READ_AT_ONCE = 64 << 20  # bytes of a checkpoint whose tensors all come with the list of them
_MEMORY = 1 << 30  # bytes that TensorFlow may take to read, and four times the checkpoint's own
_LONGEST_WORDS = 1000
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_OF_OPTIMIZER = re.compile(r"(^|/)optimizer[^/]*/_variables/\d+$")
_OF_MODEL = re.compile(r"(^|/)_trainable_variables/\d+$")
"""Where Keras 3's optimizers list the model's variables; their own are elsewhere."""


class Checkpoint:
    """An open checkpoint.

    Attributes:
        path: the file of its index.
        keys: the key of every tensor in the checkpoint, by the tensor's name: the key without its end, or the
            variable's own name where the key only counts a model's ("optimizer/_trainable_variables/3").
        tensors: every tensor by its name. To read one that `fetch` has not read starts a process.
    """

    def __init__(self, path: Path) -> None:
        """List the tensors of the checkpoint whose index is `path`.

        Raises:
            FileFormatError: when the checkpoint is damaged or a part of it is missing.
            MissingDependencyError: when TensorFlow is not installed.
        """
        self.path = path
        self._stored = _stored_bytes(path)
        self._values: dict[str, bytes] = {}
        named = _named(self._ask(None))
        self.keys = {name: tensor["key"] for name, tensor in named.items()}
        self.tensors = {
            name: StoredTensor(tuple(tensor["shape"]), tensor["dtype"], partial(self._value, name))
            for name, tensor in named.items()
        }

    def fetch(self, names: Sequence[str]) -> None:
        """Read these tensors in one process, unless they have been read.

        Raises:
            CorruptFileError: when they are larger than the files that should hold them, or cannot be read.
        """
        missing = [name for name in names if self.keys[name] not in self._values]
        tensors = [self.tensors[name] for name in missing]
        size = sum(math.prod(tensor.shape) * numpy_dtype(tensor.dtype).itemsize for tensor in tensors)
        if size > self._stored:
            raise CorruptFileError(
                f"{shown(self.path)}: {listed(missing)} should be {size} bytes, but the data files beside it "
                f"have {self._stored}; the checkpoint is truncated or damaged: copy it again"
            )
        if missing:
            self._ask([self.keys[name] for name in missing])

    def _value(self, name: str) -> Array:
        self.fetch([name])
        tensor = self.tensors[name]
        return np.frombuffer(self._values[self.keys[name]], numpy_dtype(tensor.dtype)).reshape(tensor.shape)

    def _ask(self, keys: Sequence[str] | None) -> list[dict[str, Any]]:
        """Read the tensors with these keys; None lists all tensors, and reads them where they are small."""
        prefix = str(self.path.absolute()).removesuffix(INDEX)
        with TemporaryDirectory(prefix="grubridge-") as name:
            folder = Path(name)
            memory = current().max_memory or _MEMORY + 4 * self._stored
            request = {"prefix": prefix, "names": keys, "most": _READ_AT_ONCE, "memory": memory}
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            answer = self._answer(folder, memory)
            for number, key in enumerate(answer["values"]):
                self._values[key] = (folder / f"{number}.bin").read_bytes()
        tensors: list[dict[str, Any]] = answer["tensors"]
        return tensors

    def _answer(self, folder: Path, memory: int) -> dict[str, Any]:
        timeout = current().timeout or _TIMEOUT
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "grubridge.formats.tensorflow.child", str(folder)],
                cwd=folder,
                env=child_environment(str(folder)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._refusal(
                f"TensorFlow did not read it within {timeout:g} s (--timeout SECONDS gives it longer)"
            ) from None
        path = folder / "answer.json"
        if not path.exists():
            last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            advice = memory_advice(last, memory, died=True)
            raise self._refusal(
                f"TensorFlow ended with exit code {ended.returncode} while it read it: {printable(last)}"
                + (advice and f" ({advice})")
            )
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "unusable" in answer:
            raise MissingDependencyError(
                f"TensorFlow cannot be imported: {printable(answer['unusable'], _LONGEST_WORDS)}; "
                "install it again: pip install --force-reinstall 'grubridge[tensorflow]'",
                "tensorflow",
            )
        if "error" in answer:
            advice = memory_advice(answer["error"], memory)
            raise self._refusal(
                f"TensorFlow does not read this checkpoint: {printable(answer['error'], _LONGEST_WORDS)}"
                + (advice and f" ({advice})")
            )
        return answer

    def _refusal(self, problem: str) -> CorruptFileError:
        return CorruptFileError(
            f"{shown(self.path)}: {problem}; the checkpoint is damaged, or a part of it is missing: "
            "copy it again"
        )


def _stored_bytes(index: Path) -> int:
    """Return how many bytes the files with the tensors have."""
    if find_spec("tensorflow") is None:
        raise MissingDependencyError(
            f"{shown(index)}: a TensorFlow checkpoint is read by TensorFlow, which this Python has not: "
            "pip install 'grubridge[tensorflow]'",
            "tensorflow",
        )
    check_openable(index)
    files = shards(index)
    if not files:
        shard = f"{printable(index.name.removesuffix(INDEX))}.data-00000-of-00001"
        raise FileFormatError(
            f"{shown(index)}: {shard}, the tensors of this checkpoint, is not beside it; "
            "copy all files of the checkpoint"
        )
    return sum(check_openable(file) for file in files)


def _named(tensors: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tensors of the model, each by a name of its own: without counters and what optimizers keep.

    An optimizer's slot is called as the variable that it belongs to and one word more.
    """
    stored = {tensor["key"] for tensor in tensors}
    short = {key: key.removesuffix(_VALUE) for key in stored}
    keys = {key: key if short[key] in stored else short[key] for key in stored}
    names = set(keys.values())
    variables = Counter(tensor["variable"] for tensor in tensors)
    found: dict[str, dict[str, Any]] = {}
    for tensor in tensors:
        name, variable = keys[tensor["key"]], tensor["variable"]
        above = (name[: match.start()] for match in re.finditer("/", name))
        if not tensor["shape"] or _OF_OPTIMIZER.search(name) or names.intersection(above):
            continue
        counted = _OF_MODEL.search(name) and variables[variable] == 1 and variable not in names
        found[variable if counted else name] = tensor
    return found
