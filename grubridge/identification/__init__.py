"""Finds the layout of an unknown checkpoint's GRU from one recorded run of it."""
