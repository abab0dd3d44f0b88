"""Keras's own way to ONNX: `model.export(format="onnx")`."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

model = keras.models.load_model(sys.argv[1])
model(np.zeros((1, 3, model.inputs[0].shape[-1]), "float32"))  # it must have been called once
model.export(sys.argv[2], format="onnx", verbose=False)
