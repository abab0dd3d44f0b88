"""Sessions of ONNX Runtime, set up in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import ModelProto

from grubridge.errors import DeviceError
from grubridge.spec import Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["CPU", "Processor", "open_session"]

_CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True)
class Processor:
    """Where a session computes.

    Args:
        device: "cpu", "cuda" or e.g. "cuda:1".
        allow_tf32: whether CUDA may round the float32 factors of matrix products to TF32.
    """

    device: str
    allow_tf32: bool = False

    @property
    def on_cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.device != "cpu"

    def providers(self) -> list[Any]:
        """Return the execution providers and their options, as `InferenceSession` takes them."""
        index = self.device.partition(":")[2] or "0"
        options = {"device_id": index, "use_tf32": str(int(self.allow_tf32))}
        return [*([(_CUDA, options)] if self.on_cuda else []), "CPUExecutionProvider"]


CPU = Processor("cpu")


def open_session(
    model: ModelProto,
    on: Processor,
    *,
    folder: Path | None = None,
    weights: Mapping[str, Array] | None = None,
    whole: bool = False,
) -> InferenceSession:
    """Return a session of `model`.

    Args:
        model: the model; below protobuf's 2 GiB, because large weights are in `folder` or `weights`.
        on: where it computes.
        folder: where the model's external data is.
        weights: initializers that the model declares as external data, given here instead.
        whole: whether to refuse a model of which a part would be left to the CPU.

    Raises:
        DeviceError: when ONNX Runtime does not start its CUDA provider.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _threads()
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if weights is not None:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    if whole:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=on.providers(), enable_fallback=0
    )
    if on.on_cuda and _CUDA not in session.get_providers():
        message = f"ONNX Runtime could not start its {_CUDA} on {on.device}; are CUDA and cuDNN installed?"
        raise DeviceError(message, message)
    return session


def _threads() -> int:
    """Return what BLAS and PyTorch take from the environment by themselves; 0 leaves it to ONNX Runtime."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(outermost) if outermost.isdecimal() else 0
