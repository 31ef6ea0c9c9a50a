"""Evaluations that are computed, and not looked up."""

from typing import Any, Final

from heatproof.client.clients.flows.evaluations import SPEC_OPTIONS

UNCACHED: Final[dict[str, Any]] = {"no_cache": True} if "no_cache" in SPEC_OPTIONS else {}
"""Options of the client: a benchmark asks the same again and again."""
