"""Reports as a person holds them: drawn, written, saved and loaded."""
