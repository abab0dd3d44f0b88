"""grubridge: move GRUs between Keras, PyTorch and ONNX, and prove that they stayed the same function."""
