"""GRU cells as people write them by hand, typed from their equations; `train_cells` saves one of each."""
