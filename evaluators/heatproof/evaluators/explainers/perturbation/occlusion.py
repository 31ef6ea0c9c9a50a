"""Slides a patch over the image and averages the drops of the class probability."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, Procedure, respond
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Need
from heatproof.evaluators.removal import Black, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Occlusion:
    """Slides a patch over the image and averages the drops of the class probability."""

    name: ClassVar[str] = "occlusion"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[tuple[Need, ...]] = ()

    patch: int = parameter(32, "Side of the patch in pixels.", within=Range(1, 1024))
    stride: int = parameter(16, "Step between patches in pixels.", within=Range(1, 1024))
    removal: RemovalOperator = parameter(Black(), "How patches are hidden.")

    def check(self, facts: PredictorFacts) -> None:
        """Refuses patches larger than the input and steps that leave gaps."""
        side = min(facts.height, facts.width)
        if self.patch > side:
            raise InvalidArgumentError(
                f"patch is {self.patch}, but the input has {facts.width} x {facts.height} pixels: "
                f"at most {side}",
                field="patch",
            )
        if self.stride > self.patch:
            raise InvalidArgumentError(
                f"stride is {self.stride}, which leaves gaps between patches of {self.patch}: "
                f"at most {self.patch}",
                field="stride",
            )

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks once for each patch."""
        return len(self._starts(facts.height)) * len(self._starts(facts.width))

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """`mean over the patches P that cover a pixel of s(x) - s(x without P)`."""
        patches = [
            (slice(top, top + self.patch), slice(left, left + self.patch))
            for top in self._starts(scene.height)
            for left in self._starts(scene.width)
        ]
        views = (self._view(scene, patch) for patch in patches)
        found = yield from respond(views, scene.probability)
        total = np.zeros((scene.height, scene.width))
        covers = np.zeros_like(total)
        for patch, probability in zip(patches, found.values, strict=True):
            total[patch] += scene.confidence - probability
            covers[patch] += 1
        return total / covers

    def _view(self, scene: Scene, patch: tuple[slice, slice]) -> MaskedView:
        mask = np.ones((scene.height, scene.width), np.bool_)
        mask[patch] = False
        return MaskedView(scene.picture, mask, self.removal)

    def _starts(self, pixels: int) -> list[int]:
        """First pixels of the patches; the last patch ends with the image."""
        last = pixels - self.patch
        return [*range(0, last, self.stride), last]
