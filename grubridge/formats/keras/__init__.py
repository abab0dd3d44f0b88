"""Keras files: `.keras`, `.h5`, `.weights.h5`, of every Keras since the first."""
