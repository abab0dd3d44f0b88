"""A peer's way from a PyTorch state dict to ONNX, as a whole program: rebuild the module, export it."""

import sys

import torch

stored = torch.load(sys.argv[1], weights_only=True)
prefix = "gru." if "gru.weight_hh_l0" in stored else ""
weights = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
hidden_size = weights["weight_hh_l0"].shape[1]
layers = sum(key.startswith("weight_hh_l") for key in weights)
module = torch.nn.GRU(weights["weight_ih_l0"].shape[1], hidden_size, layers, batch_first=True)
module.load_state_dict(weights)
torch.onnx.export(
    module.eval(),
    (torch.zeros(1, 3, module.input_size),),
    sys.argv[2],
    dynamo=False,
    input_names=["x"],
    dynamic_axes={"x": {0: "batch", 1: "time"}},
)
