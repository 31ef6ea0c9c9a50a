"""Predictors of single networks."""

from typing import Final

from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime import Cancellation, SessionCache, SessionSettings

MODEL: Final = "benchmark"
"""Name of the model that a predictor runs."""

_SESSION_BYTES: Final = 4 << 30


def predictor_of(
    canonical: CanonicalModel, settings: SessionSettings, *, batch: int
) -> GraphPredictor:
    """A predictor that keeps its sessions."""
    return GraphPredictor(
        canonical,
        SessionCache(_SESSION_BYTES, settings),
        model=MODEL,
        batch_size=batch,
        cancellation=Cancellation(),
    )
