"""State dicts of nn.GRU and nn.GRUCell, which PyTorch checkpoints and safetensors files share.

`layout` says how the weights lie (gate order, names, shapes), `contents` lists the stacks, and `plan` makes a
state dict of a spec.
"""
