"""Keras 3 and Keras 2, on whatever backend is installed."""
