"""TensorFlow checkpoints: `prefix.index` and `prefix.data-00000-of-00001`, of TensorFlow 1 and 2. Only read.

`names` finds the checkpoint that a name stands for, `checkpoint` reads it through `child`, a process in which
TensorFlow runs, and `adapter` lists the GRUs whose tensors fit a layout.
"""
