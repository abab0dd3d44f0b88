"""How bytes get on and off the disk: opened as data, streamed in strips, written atomically. No GRU here."""
