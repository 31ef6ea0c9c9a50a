"""What is done to rewritten graphs for speed alone, after the rules, for one platform."""

from heatproof.graphs.lowering.platforms import Platform, lower, lowered

__all__ = ["Platform", "lower", "lowered"]
