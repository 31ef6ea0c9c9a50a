"""Stored data sets: uploads, rows."""
