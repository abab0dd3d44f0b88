"""The frameworks' own way with a folder of models: one start of the slowest framework, every file run once.

Prints how long the start and the runs took; what else has to be imported is not counted.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file

started = time.perf_counter()
import keras  # noqa: E402 - the start that is measured

start = time.perf_counter() - started


def inputs(size: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.random.default_rng(0).standard_normal((4, 24, size), np.float32)


def run_keras(path: Path) -> None:
    model = keras.models.load_model(path)
    model(inputs(model.inputs[0].shape[2]))


def run_onnx(path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    session.run(None, {x.name: inputs(x.shape[2])})


def run_torch(path: Path) -> None:
    stored = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    module = torch.nn.GRU(
        stored["weight_ih_l0"].shape[1],
        stored["weight_hh_l0"].shape[1],
        sum(key.startswith("weight_hh_l") and not key.endswith("reverse") for key in stored),
        batch_first=True,
        bidirectional="weight_hh_l0_reverse" in stored,
    )
    module.load_state_dict(stored)
    with torch.inference_mode():
        module.eval()(torch.from_numpy(inputs(module.input_size)))


RUN = {".keras": run_keras, ".onnx": run_onnx, ".pt": run_torch, ".safetensors": run_torch}
started = time.perf_counter()
for path in sorted(Path(sys.argv[1]).iterdir()):
    if path.suffix in RUN:
        RUN[path.suffix](path)
print(json.dumps({"start": start, "runs": time.perf_counter() - started}))
