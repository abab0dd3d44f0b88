"""What a Keras model's configuration holds that is not data: code, and ways out of the file.

Keras can store a Lambda layer's bytecode (keras/src/layers/core/lambda_layer.py; Keras 1 and 2 as a list), a
pickled torch module (keras/src/utils/torch_utils.py) and the paths of other files. grubridge touches none of
them; whoever opens the file in Keras should know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from grubridge.errors import UnsafeFileError
from grubridge.files.text import printable, quoted

__all__ = ["refuse_code"]

_OF_LAMBDA = ("function", "output_shape", "mask")


def refuse_code(stored: object, where: str) -> None:
    """Refuse a model whose configuration holds code, or leads out of the file.

    What only names a function or a class holds no code: Keras would look for it in the user's own program.

    Args:
        stored: the parsed JSON.
        where: the file and the place in it, for messages.

    Raises:
        UnsafeFileError: when it does; the message says which layer, and what.
    """
    for layer, held in _held(stored):
        raise UnsafeFileError(
            f"{where}: {layer} {held}. grubridge never runs code from a file and opens no file that another "
            "one names; to read the GRUs beside it, say --skip-unsafe"
        )


def _held(stored: object) -> Iterator[tuple[str, str]]:
    """Yield the layer, as messages print it, and what it holds, for every such thing."""
    left: list[tuple[Any, str]] = [(stored, "the model")]
    while left:
        value, layer = left.pop()
        if isinstance(value, list):
            left.extend((item, layer) for item in value)
        elif isinstance(value, dict):
            kind, config = value.get("class_name"), value.get("config")
            if kind == "__lambda__":
                yield layer, "holds Python bytecode"
            elif isinstance(kind, str) and isinstance(config, dict):
                name = config.get("name", value.get("name"))
                layer = f"{printable(kind)} {quoted(name)}" if isinstance(name, str) else printable(kind)
                yield from ((layer, held) for held in _held_by(kind, config))
            left.extend((item, layer) for item in value.values())


def _held_by(kind: str, config: Mapping[str, Any]) -> Iterator[str]:
    if kind == "Lambda":
        of_code = any(config.get(f"{key}_type") == "lambda" for key in _OF_LAMBDA)
        if of_code or isinstance(config.get("function"), list):
            yield "holds Python bytecode"
    if kind == "TorchModuleWrapper" and config.get("module") is not None:
        yield "holds a pickled torch module, which runs code when it is loaded"
    for key in ("vocabulary", "filepath"):
        if isinstance(config.get(key), str):
            yield f"takes its {key} from another file, {quoted(config[key])}"
