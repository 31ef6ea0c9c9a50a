"""Remove and debias: what the model says where shares of the regions are imputed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation import Walk
from heatproof.evaluators.metrics.faithfulness.shares import SharesMetric
from heatproof.evaluators.metrics.functions.curves import share_counts, views_of, views_without
from heatproof.evaluators.queries.procedure import Prediction, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import NO_CLASS
from heatproof.evaluators.regions import Pixels, Segmentation
from heatproof.evaluators.registry.parameters import parameter


@dataclass(frozen=True, slots=True, eq=False)
class Imputed:
    """What the model says where shares of the regions are removed.

    Attributes:
        values: what was read of the answers.
        hits: 1 where the class is the top one, 0 where it is not; NaN where an answer is not
            finite.
        zero_coverage: points at which the model saw nothing at all.
    """

    values: Float64[np.ndarray, "shares"]
    hits: Float64[np.ndarray, "shares"]
    zero_coverage: int

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return float(self.values.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadMetric(SharesMetric):
    """Reads what the model says where shares of the pixels are imputed (Rong et al. 2022)."""

    regions: Segmentation = parameter(Pixels(), "What is removed at a time.")

    def imputed(self, walk: Walk, way: Way) -> Procedure[Imputed]:
        """Removes the shares, most or least relevant first."""
        cells = walk.regions.cells
        removed = share_counts(cells, self.shares)
        if way is Way.LERF:
            views = views_of(walk.sample, walk.schedule(cells - removed), walk.order)
        else:
            views = views_without(walk.sample, walk.schedule(removed), walk.order)
        answers: list[Prediction] = []
        for chunk in chunks(views):
            answers += yield from ask(chunk)
        read, expected = self.output.reading(walk.sample), _class_of(walk.sample)
        return Imputed(
            np.array([read(answer) for answer in answers]),
            np.array([_hit(answer, expected) for answer in answers]),
            sum(answer.coverage == 0 for answer in answers),
        )


def _class_of(sample: Sample) -> int:
    """The class that is explained; of several the clean image's top class."""
    found = sample.target.class_index
    return int(sample.clean.logits.argmax()) if found == NO_CLASS else found


def _hit(answer: Prediction, expected: int) -> float:
    if not np.isfinite(answer.logits).all():
        return np.nan
    return float(answer.logits.argmax() == expected)
