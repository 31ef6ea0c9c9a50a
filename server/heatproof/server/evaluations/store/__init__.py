"""Evaluations and their results as they are stored."""
