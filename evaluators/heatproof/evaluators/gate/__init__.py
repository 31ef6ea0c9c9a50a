"""The gate: judges the results of an evaluation by a policy."""

from heatproof.evaluators.gate.judging import judge

__all__ = ["judge"]
