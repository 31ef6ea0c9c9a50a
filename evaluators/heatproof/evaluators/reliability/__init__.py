"""Which scores deserve trust: metrics held against controls on a user's own model and images."""
