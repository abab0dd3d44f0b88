"""PyTorch's own way, as a whole program: load the state dict, run its GRU once."""

import sys

import torch

stored = torch.load(sys.argv[1], weights_only=True)
prefix = next(key for key in stored if key.endswith("weight_hh_l0")).removesuffix("weight_hh_l0")
weights = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
hidden_size = weights["weight_hh_l0"].shape[1]
layers = sum(key.startswith("weight_hh_l") and not key.endswith("reverse") for key in weights)
module = torch.nn.GRU(
    weights["weight_ih_l0"].shape[1],
    hidden_size,
    layers,
    batch_first=True,
    bidirectional="weight_hh_l0_reverse" in weights,
)
module.load_state_dict(weights)
with torch.inference_mode():
    module.eval()(torch.randn(4, 24, module.input_size))
