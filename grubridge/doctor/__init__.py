"""What a bug report should say: versions, devices, and what of all that is installed is broken."""
