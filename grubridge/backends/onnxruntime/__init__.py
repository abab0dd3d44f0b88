"""ONNX Runtime, one GRU node at a time."""
