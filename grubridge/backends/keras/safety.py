"""Which Keras models are given to Keras at all: those of known built-in classes.

Loading a model runs its configuration: a Lambda layer's bytecode, any class or function that a module
offers, a SavedModel, a pickle. Keras's `safe_mode` does not cover every file format in every version, so a
model with a class that is not listed here is not loaded; its GRUs are rebuilt from their arrays.
"""

from __future__ import annotations

import json
import re
import zipfile
from typing import Any

from grubridge.backends.base import Artifact
from grubridge.files.text import printable

__all__ = ["unlisted_class"]

_LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average
    AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional Concatenate
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Cropping1D Cropping2D Dense DepthwiseConv1D
    DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten Functional GRU GRUCell GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    GroupNormalization Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum Model MultiHeadAttention Multiply
    Normalization PReLU Permute RNN ReLU RepeatVector Rescaling Reshape SeparableConv1D SeparableConv2D
    Sequential SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D StackedRNNCells
    Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
"""
_PARTS = """
    Constant DTypePolicy FloatDTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform
    IdentityInitializer L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm NonNeg Ones Orthogonal
    OrthogonalInitializer OrthogonalRegularizer Policy RandomNormal RandomUniform TruncatedNormal
    UnitNorm VarianceScaling Zeros __ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__
"""
_OF_MASKS = "Any NotEqual"  # a functional model holds the operations that make the masks of its layers
_LISTED = frozenset(f"{_LAYERS} {_PARTS} {_OF_MASKS}".split())
_MODULES = re.compile(r"(tf_)?keras(\..*)?|tensorflow\.(python\.)?keras(\..*)?|builtins")
_NOT_LOADED = ("compile_config", "build_config")


def unlisted_class(artifact: Artifact) -> str | None:
    """Return the first class of the stored model that is not listed, None when all are."""
    pending: list[Any] = [_stored_model(artifact)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            name, module = value.get("class_name"), value.get("module")
            known = name is None or name in _LISTED
            if not known or (module is not None and not _MODULES.fullmatch(str(module))):
                return printable(name if module is None else f"{module}.{name}")
            pending.extend(item for key, item in value.items() if key not in _NOT_LOADED)
        elif isinstance(value, list):
            pending.extend(value)
    return None


def _stored_model(artifact: Artifact) -> Any:  # noqa: ANN401 - parsed JSON
    if artifact.address["kind"] == "keras3":
        with zipfile.ZipFile(artifact.path) as archive:
            return json.loads(archive.read("config.json"))
    import h5py

    with h5py.File(artifact.path, "r") as file:
        return json.loads(file.attrs["model_config"])
