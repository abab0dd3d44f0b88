"""A cell of a TensorFlow checkpoint or a Keras file, run by TensorFlow as its layout describes it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from grubridge.backends.base import Artifact, installed, precision
from grubridge.backends.described import NOTE, kernel, run_described
from grubridge.backends.operators import Tensor, tensorflow_operators
from grubridge.errors import CannotRunError
from grubridge.layouts.toml import from_json
from grubridge.traces import Probe, Trace

from .rebuild import read_arrays

__all__ = ["run_by_layout"]

_INDEX = ".index"


def run_by_layout(artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool) -> Trace:
    """Load the tensors of a cell with TensorFlow's or h5py's own loader and run the cell; see `Backend.run`.

    Raises:
        CannotRunError: when TensorFlow is not installed, or does not run what Keras runs on here.
    """
    if find_spec("tensorflow") is None:
        reason = "a cell that a layout describes is run by TensorFlow, which is not installed"
        raise CannotRunError(f"{reason}: pip install 'grubridge[tensorflow]'", reason)
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(enabled=allow_tf32)
    layout = from_json(artifact.address["layout"])
    with tf.device(device.replace("cuda", "gpu")):
        tensors = _tensors(artifact)
        like = next(iter(tensors.values()))
        places = run_described(layout, tensors, probe, tensorflow_operators(like))
    dtype = like.dtype.name
    return Trace(
        "keras",
        installed("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
        device,
        dtype,
        native=True,
        places=places,
        notes=(NOTE,),
        kernel=kernel(layout, "TensorFlow"),
        precision=precision(dtype, device, allow_tf32=allow_tf32),
    )


def _tensors(artifact: Artifact) -> dict[str, Tensor]:
    """Return the cell's tensors by the names that its layout has."""
    import tensorflow as tf

    places: Mapping[str, str] = artifact.address["tensors"]
    if artifact.format == "tensorflow":
        reader: Any = tf.train.load_checkpoint(artifact.path.removesuffix(_INDEX))
        return {name: tf.constant(reader.get_tensor(key)) for name, key in places.items()}
    arrays = read_arrays(artifact, set(places.values()))
    return {name: tf.constant(arrays[path]) for name, path in places.items()}
