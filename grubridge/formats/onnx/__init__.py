"""ONNX files: GRU nodes of any exporter read, one node per layer written."""
