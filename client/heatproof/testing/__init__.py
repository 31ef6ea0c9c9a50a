"""Heatproof inside test suites."""
