"""TensorFlow checkpoints: `prefix.index` and `prefix.data-00000-of-00001`, of TensorFlow 1 and 2. Only read.

`checkpoint` reads one through `child`, a process in which TensorFlow runs, and `adapter` lists the GRUs whose
tensors fit a layout.
"""
