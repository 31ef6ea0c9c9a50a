"""Evaluations in work."""
