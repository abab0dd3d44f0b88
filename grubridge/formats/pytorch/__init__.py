"""PyTorch checkpoints: a zip (`checkpoint`) of a pickle (`pickle_reader`, `pickle_writer`) and its data."""
