"""Features before the classifier, read off the answers to masked views."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.outcomes import Score, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, Prediction, Procedure, ask, chunks
from heatproof.evaluators.registry.parameters import parameter

_SPATIAL_RANK: Final = 3

Features = Float64[np.ndarray, "features"]


def features_tensor(named: str, model: PredictorFacts) -> str:
    """The tensor that is named, or the model's own; "" if it has none."""
    return named or model.cam_tensor


def check_features(named: str, model: PredictorFacts) -> None:
    """Refuses a tensor that the model lacks.

    Raises:
        InvalidArgumentError: at `tensor`.
    """
    if named and model.tensors and named not in model.tensors:
        raise UnknownNameError.among("tensor", named, model.tensors, field="tensor")
    if not features_tensor(named, model):
        raise InvalidArgumentError(
            f"{model.model} has no spatial tensor before its global pool: set tensor",
            field="tensor",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesMetric(Metric):
    """What metrics share that read features."""

    tensor: str = parameter(
        "", "Features; empty: the last spatial tensor before the global pool, averaged."
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the features."""
        tensor = features_tensor(self.tensor, model)
        return (ModelPass(model.model, taps=(tensor,)),) if tensor else ()


def look(views: Iterable[MaskedView], tensor: str) -> Procedure[list[Prediction]]:
    """Asks for views with a look at a tensor."""
    answers: list[Prediction] = []
    tapped = (replace(view, run=replace(view.run, taps=(tensor,))) for view in views)
    for chunk in chunks(tapped):
        answers += yield from ask(chunk)
    return answers


def pooled(answer: Prediction, tensor: str) -> Features:
    """Features of an answer; of a spatial tensor the mean over its visible cells, 0 if none is."""
    found = answer.features[tensor].astype(np.float64)
    if answer.coverage == 0:
        found = np.zeros_like(found)
    if found.ndim != _SPATIAL_RANK:
        return found.reshape(-1)
    return np.asarray(found.mean(axis=(1, 2)) / (answer.coverage or 1.0))


def feature_cosine(first: Features, second: Features, otherwise: Undefined) -> Score:
    """Of two vectors; `otherwise` where one of them is 0."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not lengths > 0:
        return otherwise
    return float(np.clip(first @ second / lengths, -1, 1))
