"""How the areas of a panel of models become the scores that compare them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from heatproof.evaluators.registry.parameters import UNBOUNDED, Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Column, Rows
from heatproof.evaluators.statistics.reductions import Unbounded


@dataclass(frozen=True, slots=True)
class CrossModel(Unbounded):
    """A data set's score is a weighted sum of gains `G[j, k]` of models over maps.

    `G[j, k] = (RA_j - C[j, k]) / (RA_j - DA*_j)` of the sums, over the images that every model
    scored, of the areas that model j has in random orders, in the order of map k, and in the order
    of its own oracle. Maps are those of models, by number, and controls, by name. The gains of one
    model share a denominator, hence one arm each. Ours.

    Attributes:
        weights: model, map and weight of each gain.
    """

    is_resampled: ClassVar[bool] = True

    weights: tuple[tuple[int, str, float], ...]

    @classmethod
    def gain(cls, model: int, order: str) -> "CrossModel":
        """`G[j, k]`: what the order of map k is worth to model j."""
        return cls(((model, order, 1.0),))

    @classmethod
    def quality(cls, order: str, models: int) -> "CrossModel":
        """`Q_k`: the mean of `G[j, k]` over all models j whose own map k is not."""
        judges = [model for model in range(models) if str(model) != order]
        return cls(tuple((model, order, 1 / len(judges)) for model in judges))

    @classmethod
    def own_advantage(cls, model: int, models: int) -> "CrossModel":
        """`S_j`: `G[j, j]` less the mean of `G[j, k]` over the other models' maps."""
        others = [order for order in range(models) if order != model]
        foreign = ((model, str(order), -1 / len(others)) for order in others)
        return cls(((model, str(model), 1.0), *foreign))

    @classmethod
    def mean_quality(cls, models: int) -> "CrossModel":
        """The mean of `Q_k` over all models."""
        weight = 1 / (models * (models - 1))
        pairs = product(range(models), repeat=2)
        return cls(tuple((j, str(k), weight) for j, k in pairs if j != k))

    @staticmethod
    def random_area(model: int) -> str:
        """Name of the part `RA_j`."""
        return f"random_area[{model}]"

    @staticmethod
    def oracle_area(model: int) -> str:
        """Name of the part `DA*_j`."""
        return f"oracle_area[{model}]"

    @staticmethod
    def map_area(model: int, order: str) -> str:
        """Name of the part `C[j, k]`."""
        return f"deletion_area[{model},{order}]"

    @property
    def range(self) -> Range:
        """Anything."""
        return UNBOUNDED

    @property
    def parts(self) -> tuple[str, ...]:
        """The areas, each once."""
        named = (
            (self.random_area(model), self.oracle_area(model), self.map_area(model, order))
            for model, order, _ in self.weights
        )
        return tuple(dict.fromkeys(name for names in named for name in names))

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """One arm a model, all over the images that have the score and every part."""
        columns = np.stack([scores, *(parts[name] for name in self.parts)])
        scored: Rows = np.asarray(np.isfinite(columns).all(axis=0))
        models = dict.fromkeys(model for model, _, _ in self.weights)
        arms = tuple(self._arm(model, parts).within(scored) for model in models)
        return ArmContrast(arms, (1.0,) * len(arms))

    def _arm(self, model: int, parts: Mapping[str, Column]) -> Arm:
        random = parts[self.random_area(model)]
        above = sum(
            weight * (random - parts[self.map_area(judge, order)])
            for judge, order, weight in self.weights
            if judge == model
        )
        return Arm.of_ratio(np.asarray(above), random - parts[self.oracle_area(model)])

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The weighted sum of the ratios of sums."""
        return units.estimate()
