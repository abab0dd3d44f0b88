"""A GRU's arithmetic, told to a person with a pencil: conventions, every number of every step, mistakes."""
