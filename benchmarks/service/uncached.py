"""Evaluations that are computed, and not looked up."""

from typing import Any, Final

UNCACHED: Final[dict[str, Any]] = {"no_cache": True}
"""Options of the client: a benchmark asks the same again and again."""
