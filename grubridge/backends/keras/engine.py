"""What Keras runs on: TensorFlow or, where that is not installed, PyTorch or JAX."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from grubridge.backends.base import installed

__all__ = ["engine", "engine_version", "start_engine"]

_ENGINES: dict[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow-cpu", "tensorflow-macos"),
    "torch": (),
    "jax": (),
}
"""What Keras can run on, in order of preference, and other distributions that bring it."""


def engine() -> str:
    """Return the name of what Keras runs on, or would."""
    chosen = os.environ.get("KERAS_BACKEND")
    return chosen or next((name for name in _ENGINES if find_spec(name) is not None), "tensorflow")


def engine_version() -> str:
    """Return it with its version, e.g. "tensorflow 2.21.0", without importing it."""
    name = engine()
    return installed(name, *_ENGINES.get(name, ()))


def start_engine(*, allow_tf32: bool) -> int:
    """Import what Keras is to run on, allow or forbid TF32, and return how many CUDA devices it can use."""
    os.environ["KERAS_BACKEND"] = name = engine()
    if name == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(enabled=allow_tf32)
        return len(tf.config.list_physical_devices("GPU"))
    if name == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = allow_tf32
        torch.backends.cudnn.allow_tf32 = allow_tf32
        return int(torch.cuda.device_count())
    jax: Any = import_module("jax")
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if allow_tf32 else "highest")
    return sum(device.platform == "gpu" for device in jax.devices())
