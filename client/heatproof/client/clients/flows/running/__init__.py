"""Evaluations that run: prepared, fitted into a budget, followed."""
