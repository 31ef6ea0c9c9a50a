"""Projects an activation tensor on its strongest direction."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.explainers.cam.tensor_map import Coarse, TensorMap
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter

Projection = Float64[np.ndarray, "cells"]


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class EigenCam(TensorMap):
    """Projects an activation tensor on its strongest direction, blind to the class."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="eigen_cam",
        reference="Muhammad and Yeasin 2020, arXiv 2008.00299",
        category=ExplainerCategory.CAM,
    )

    centred: bool = parameter(
        default=False, summary="Subtract each channel's mean first, as the package grad-cam does."
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the tensor."""
        tensor = self.tensor_of(model)
        return (ModelPass(model.model, taps=(tensor,)),) if tensor else ()

    def cost(self, model: PredictorFacts) -> int:
        """Looks once."""
        return 1

    def coarse(self, sample: Sample) -> Procedure[Coarse]:
        """`X v`, with `X` of cells by channels and `v` its first right singular vector."""
        activation = yield from self.look(sample)
        size = activation.shape[1:]
        cells = activation.reshape(len(activation), -1).T.astype(np.float64)
        if not np.isfinite(cells).all():
            return np.full(size, np.nan)
        if self.centred:
            cells -= cells.mean(axis=0)
        directions = np.linalg.svd(cells, full_matrices=False)[2]
        return self._turned(cells @ directions[0]).reshape(size)

    def _turned(self, projected: Projection) -> Projection:
        """Of the two signs, which no decomposition tells apart, the one that is mostly positive.

        By the sum; where centring has made it 0, by the extreme of the larger magnitude.
        """
        extreme = projected[np.abs(projected).argmax()]
        leaning = extreme if self.centred else projected.sum()
        return -projected if leaning < 0 else projected
