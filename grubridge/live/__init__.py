"""Models that a framework holds in memory, as specs and back. No framework is imported until it is needed."""
