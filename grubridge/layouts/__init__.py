"""Layouts of GRU cells that people write themselves: descriptions, not classes."""
