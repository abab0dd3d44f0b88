"""Small GRU models trained on real data, each saved by the framework that trained it. README.md lists them."""
