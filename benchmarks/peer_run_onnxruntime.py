"""ONNX Runtime's own way, as a whole program: open the model, run it once."""

import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(x,) = session.get_inputs()
inputs = np.random.default_rng(0).standard_normal((4, 24, x.shape[2]), np.float32)
session.run(None, {x.name: inputs})
