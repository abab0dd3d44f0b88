"""Which Keras models are given to Keras at all: known built-in classes, and arrays that the file holds.

Loading a model runs its configuration: a Lambda layer's bytecode, any class or function that a module
offers, a SavedModel, a pickle. Keras's `safe_mode` does not cover every file format in every version, so a
model with a class that is not listed here is not loaded; its GRUs are rebuilt from their arrays. So are those
of a file whose other arrays lead out of it: Keras reads them all.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from grubridge.backends.base import Artifact
from grubridge.errors import FileFormatError
from grubridge.files.hdf5 import Hdf5File
from grubridge.files.text import listed, printable
from grubridge.files.zips import read_zip

__all__ = ["reason_against_loading"]

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
_SHAPES = "build_config"  # of inputs, by names of the model's own

_ENTRIES = frozenset({"config.json", "metadata.json", "model.weights.h5"})
"""Of a `.keras` file; where there are others, Keras unpacks them all (DiskIOStore in saving_lib.py)."""


def reason_against_loading(artifact: Artifact) -> str | None:
    """Return why no Keras may load a model; None where it is known layers and their arrays, and no more."""
    if name := _unlisted_class(artifact):
        return f"the model holds a {name}, which grubridge lets no Keras load because it might run code"
    path, container = Path(artifact.path), artifact.address["container"]
    try:
        entries = read_zip(path) if container else {}
        if others := sorted(entries.keys() - _ENTRIES):
            return f"the archive also holds {listed(others, 3)}, which Keras would unpack"
        with Hdf5File(path, entries.get(container)) as file:
            file.check_whole()
    except FileFormatError as error:
        return f"not everything in the file is safe to read: {error}"
    return None


def _unlisted_class(artifact: Artifact) -> str | None:
    """Return the first class of the stored model that is not listed, None when all are."""
    model = _stored_model(artifact)
    if isinstance(model, dict):
        model.pop("compile_config", None)  # not loaded, unlike those of models in the model
    pending: list[Any] = [model]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            name, module = value.get("class_name"), value.get("module")
            known = name is None or name in _LISTED
            if not known or (module is not None and not _MODULES.fullmatch(str(module))):
                return printable(name if module is None else f"{module}.{name}")
            pending.extend(item for key, item in value.items() if key != _SHAPES)
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
