"""Small GRU models trained on real data, each saved by its own framework. README.md lists them."""
