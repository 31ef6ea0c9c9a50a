"""Options of the command line, as values."""
