"""The process in which TensorFlow reads a checkpoint: `python -m grubridge.formats.tensorflow.child FOLDER`.

The folder holds request.json {"prefix", "names", "most", "memory"}. The child takes no more memory than that
many bytes beside what TensorFlow itself needs. It writes the values of the tensors called
`names` as 0.bin, 1.bin and so on, their bytes in row-major order. Where `names` is null it lists all tensors,
and writes the values of those with a float dtype if they are not more than `most` bytes in all: to start
TensorFlow again takes longer. answer.json comes last: {"tensors": [{"key", "shape", "dtype", "variable"}],
"values": [key]}, or {"error"}, or {"unusable"} when TensorFlow itself cannot be imported.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from grubridge.files.confinement import limit_address_space

__all__ = ["main"]

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The tensor in which TensorFlow 2 stores the graph of the objects that were saved."""


def main(folder: Path) -> None:
    """Serve the request in `folder`."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    try:
        answer = _answer(request, folder)
    except ImportError as error:
        answer = {"unusable": str(error)}
    except Exception as error:  # noqa: BLE001 - TensorFlow raises many kinds; its words are what the user needs
        answer = {"error": f"{type(error).__name__}: {error}"}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _answer(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    limit_address_space(request["memory"])
    reader = tf.train.load_checkpoint(request["prefix"])
    wanted, tensors = request["names"], []
    if wanted is None:
        tensors = _listed(reader)
        floats = [tensor for tensor in tensors if tf.as_dtype(tensor["dtype"]).is_floating]
        sizes = [math.prod(tensor["shape"]) * tf.as_dtype(tensor["dtype"]).size for tensor in floats]
        wanted = [tensor["key"] for tensor in floats] if sum(sizes) <= request["most"] else []
    for number, key in enumerate(wanted):
        (folder / f"{number}.bin").write_bytes(reader.get_tensor(key).tobytes())
    return {"tensors": tensors, "values": wanted}


def _listed(reader: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - untyped library
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    variables = _variables(reader.get_tensor(_OBJECTS)) if _OBJECTS in shapes else {}
    return [
        {
            "key": key,
            "shape": [int(size) for size in shapes[key]],
            "dtype": dtypes[key].as_numpy_dtype.__name__ if dtypes[key].is_floating else dtypes[key].name,
            "variable": variables.get(key, ""),
        }
        for key in sorted(shapes)
    ]


def _variables(graph: bytes) -> dict[str, str]:
    """Return the name that each variable had, e.g. "gru/gru_cell/kernel", by its key."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    saved = TrackableObjectGraph.FromString(graph)
    return {one.checkpoint_key: one.full_name for node in saved.nodes for one in node.attributes}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the answer is on disk; to take TensorFlow down in order takes up to a second
