"""The `grubridge` command: one file per subcommand. Printing and exit codes live here."""
