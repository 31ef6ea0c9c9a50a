"""Operators whose results are random."""

RANDOM_OPERATORS = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"]
) | {"RandomUniformLike"}
"""A seed does not help: it starts a sequence, which goes on from one answer to the next."""
