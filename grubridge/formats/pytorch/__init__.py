"""PyTorch checkpoints: zips of a pickle and its storages."""
