"""A peer's way from Keras to ONNX, as a whole program: load the model, trace it, write the graph.

`tf2onnx.convert.from_keras` fails on Keras 3 models, so the model goes through a tf.function.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf
import tf2onnx

model = keras.models.load_model(sys.argv[1])
signature = [tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32, name="x")]
tf2onnx.convert.from_function(tf.function(model, signature), signature, opset=17, output_path=sys.argv[2])
