"""The names of `nn.GRU` parameters, which PyTorch checkpoints and safetensors files share."""
