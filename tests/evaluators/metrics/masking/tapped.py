"""A toy whose features are looked at."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from tests.evaluators.toys import ToyPredictor, features


def nowhere(masks: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """No view vanishes."""
    return np.zeros(len(masks), np.bool_) & (coverage < 0)


class Tapped(ToyPredictor):
    """A toy with features of its own: hidden pixels are 0 in them, and views vanish at will.

    `vanishes` tells of masks [N, H, W] and coverage [N] which views the network loses.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray] = features,
        vanishes: Callable[[np.ndarray, np.ndarray], np.ndarray] = nowhere,
    ) -> None:
        super().__init__(lambda image: image.mean(axis=(1, 2)))
        self._read, self._vanishes = read, vanishes

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        found = super().answers(replace(run, taps=()), batch)
        images = batch.images
        if batch.masks is not None:
            images = np.where(batch.masks[:, None], images, np.float32(0))
            assert found.coverage is not None
            lost = self._vanishes(batch.masks, found.coverage)
            found = replace(found, coverage=found.coverage * ~lost)
        return replace(found, features={name: self._read(images) for name in run.taps})
