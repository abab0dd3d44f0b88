"""What a run shows: which mistake, precision or weight makes it differ from a spec, and what its gates do."""
