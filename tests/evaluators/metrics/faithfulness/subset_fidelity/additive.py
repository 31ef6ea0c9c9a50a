"""A model that adds up the effects of its pixels, and what is known of it."""

import numpy as np

from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.removal import Black, RemovalOperator
from tests.evaluators.toys import SIDE, ToyPredictor, ask, bound, case_of, linear, pixels, softmax

WEIGHTS = np.random.default_rng(0).uniform(-3.9e-3, 4.1e-3, (3, SIDE, SIDE))
"""Their sum over the image is above 0, over its cells of either sign."""

MADE = pixels(3)[0].astype(np.float64)
"""A map that has nothing to do with the model."""


def effects(image: np.ndarray) -> np.ndarray:
    """What each pixel adds to the logit over black."""
    summed: np.ndarray = (WEIGHTS * image.astype(np.float64)).sum(axis=0)
    return summed


def scored(
    metric: Metric,
    attribution: np.ndarray,
    *,
    removal: RemovalOperator | None = None,
    predictor: ToyPredictor | None = None,
) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    case = case_of(predictor, pixels(), attribution, removal=removal)
    return ask(metric.score(case), predictor)


def drop(hidden: np.ndarray, *, logit: bool = False) -> float:
    """What hiding these pixels in black takes from class 0, in float32 as the model answers."""
    predictor, image = linear(WEIGHTS), pixels()
    read = (lambda z: float(z[0])) if logit else (lambda z: float(softmax(z)[0]))
    shown = [image, bound(Black(), image)(~hidden)]
    clean, masked = (np.asarray(predictor._logits(one), np.float32) for one in shown)
    return read(clean) - read(masked)


def cells(side: int) -> np.ndarray:
    """The number of each pixel's cell in a grid whose cells are equal."""
    numbers: np.ndarray = np.arange(side * side).reshape(side, side)
    return np.kron(numbers, np.ones((SIDE // side, SIDE // side), np.int64))


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome.score, Undefined)
    return outcome.score.reason
