"""The check: what runs where, how two traces are compared, and the verdict."""
