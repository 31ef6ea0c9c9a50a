"""The gate: judges the results of an evaluation by a policy."""

from heatproof.evaluators.gate.judging import is_decided, judge

__all__ = ["is_decided", "judge"]
