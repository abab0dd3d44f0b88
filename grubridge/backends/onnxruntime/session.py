"""Sessions of ONNX Runtime, set up in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto

from grubridge.spec import Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["open_session"]


def open_session(
    model: ModelProto, device: str, *, folder: Path | None = None, weights: Mapping[str, Array] | None = None
) -> InferenceSession:
    """Return a session of `model`.

    Args:
        model: the model; below protobuf's 2 GiB, because large weights are in `folder` or `weights`.
        device: "cpu" or "cuda".
        folder: where the model's external data is.
        weights: initializers that the model declares as external data, given here instead.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if weights is not None:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    cuda = [("CUDAExecutionProvider", {"use_tf32": "0"})] if device == "cuda" else []
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=[*cuda, "CPUExecutionProvider"]
    )
