"""Metrics of removal operators, after the evaluations of layer masking."""
