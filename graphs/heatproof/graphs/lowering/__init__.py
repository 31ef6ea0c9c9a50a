"""What is done to rewritten graphs for speed alone, after the rules, for one target."""

from heatproof.graphs.lowering.targets import Target, lower, lowered

__all__ = ["Target", "lower", "lowered"]
