"""Slides a patch over the image and averages the drops of the class probability."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, Procedure, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal import Black, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Occlusion(Explainer):
    """Slides a patch over the image and averages the drops of the class probability."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="occlusion",
        reference="Zeiler and Fergus 2014, arXiv 1311.2901",
        category=ExplainerCategory.PERTURBATION,
    )

    patch: int = parameter(32, "Side of the patch in pixels.", within=Range(1, 1024))
    stride: int = parameter(16, "Step between patches in pixels.", within=Range(1, 1024))
    removal: RemovalOperator = parameter(Black(), "How patches are hidden.")

    @property
    def reads_answer(self) -> bool:
        """The probability, which that without a patch is subtracted from."""
        return True

    def check(self, model: PredictorFacts) -> None:
        """Refuses patches larger than the input and steps that leave gaps."""
        side = min(model.height, model.width)
        if self.patch > side:
            raise InvalidArgumentError(
                f"patch is {self.patch}, but the input has {model.width} x {model.height} pixels: "
                f"at most {side}",
                field="patch",
            )
        if self.stride > self.patch:
            raise InvalidArgumentError(
                f"stride is {self.stride}, which leaves gaps between patches of {self.patch}: "
                f"at most {self.patch}",
                field="stride",
            )

    def cost(self, model: PredictorFacts) -> int:
        """Asks once for each patch."""
        return len(self._starts(model.height)) * len(self._starts(model.width))

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`mean over the patches P that cover a pixel of s(x) - s(x without P)`."""
        patches = [
            (slice(top, top + self.patch), slice(left, left + self.patch))
            for top in self._starts(sample.height)
            for left in self._starts(sample.width)
        ]
        views = (self._view(sample, patch) for patch in patches)
        found = yield from respond(views, sample.probability)
        total = np.zeros((sample.height, sample.width))
        covers = np.zeros_like(total)
        for patch, probability in zip(patches, found.values, strict=True):
            total[patch] += sample.confidence - probability
            covers[patch] += 1
        return total / covers

    def _view(self, sample: Sample, patch: tuple[slice, slice]) -> MaskedView:
        mask = np.ones((sample.height, sample.width), np.bool_)
        mask[patch] = False
        return sample.view(mask, self.removal)

    def _starts(self, pixels: int) -> list[int]:
        """First pixels of the patches; the last patch ends with the image."""
        last = pixels - self.patch
        return [*range(0, last, self.stride), last]
