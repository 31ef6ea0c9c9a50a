"""Scores that are made of the agreement of a map with that of what it keeps of the image."""
