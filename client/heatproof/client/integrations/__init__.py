"""Heatproof inside other tools."""
