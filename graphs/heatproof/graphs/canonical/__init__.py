"""Brings image classifiers into one canonical form."""

from heatproof.graphs.canonical.canonicalization import canonicalize as canonicalize
from heatproof.graphs.canonical.model import CanonicalModel as CanonicalModel
