"""Which metrics deserve trust, as reports."""
