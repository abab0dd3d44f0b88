"""One module per file format, found through `registry`. Nothing here imports a framework."""
