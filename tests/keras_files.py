"""Keras's HDF5 files made by hand, as old versions of Keras wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grubridge.spec import Array

__all__ = ["legacy_file"]


def legacy_file(
    path: Path,
    layers: Mapping[str, Mapping[str, Array]],
    *,
    model: Any = None,
    version: str | None = None,
    names_in_pieces: bool = False,
) -> Path:
    """Write an HDF5 file with a group for every layer.

    Args:
        path: the new file.
        layers: arrays by their names, by layer.
        model: the model's configuration; None writes weights alone.
        version: of Keras; Keras 1 said none.
        names_in_pieces: cut `layer_names`, as Keras does when it is long.
    """
    import h5py

    with h5py.File(path, "w") as file:
        root = file if model is None else file.create_group("model_weights")
        if model is not None:
            file.attrs["model_config"] = json.dumps(model).encode()
        for group in {file, root} if version else ():
            group.attrs["keras_version"] = version.encode()  # type: ignore[union-attr]
        names = [name.encode() for name in layers]
        if names_in_pieces:
            for index, name in enumerate(names):
                root.attrs[f"layer_names{index}"] = [name]
        else:
            root.attrs["layer_names"] = names
        for layer, arrays in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [weight.encode() for weight in arrays]
            for weight, array in arrays.items():
                group[weight] = array
    return path
