"""Subcommands that evaluate explanations."""
