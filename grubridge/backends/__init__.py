"""One module per runtime, found through `registry` and run by `launch`, each in a process of its own."""
