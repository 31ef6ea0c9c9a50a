"""What the command shows on a terminal or in a log."""
