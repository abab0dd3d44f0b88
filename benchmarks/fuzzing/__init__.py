"""Damaged and hostile input for every reader, made by mutation and guided by what of the code it reaches."""
