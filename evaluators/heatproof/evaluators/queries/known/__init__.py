"""Answers that were given before, so that no pass is run for them again."""
