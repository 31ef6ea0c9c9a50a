"""Intervals and tests for scores of whole images."""
