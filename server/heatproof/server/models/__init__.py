"""Stored models: uploads, downloads, rows."""
