"""Evaluations on their way from a request to their results."""
