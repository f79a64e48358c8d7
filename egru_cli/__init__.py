"""The command ``egru``: one file for each subcommand."""
