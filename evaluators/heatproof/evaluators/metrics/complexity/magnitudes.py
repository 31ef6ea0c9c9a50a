"""What the metrics of a map alone have in common."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure


@dataclass(frozen=True, slots=True)
class MagnitudeMetric(Metric):
    """Reads the magnitudes of the map and asks the model nothing; a constant map has a score.

    Simple is not right: a single random pixel is the simplest map of all.
    """

    @abstractmethod
    def measured(self, magnitudes: Map) -> float | Undefined:
        """Scores `|A| / max |A|`."""

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        yield from ()
        magnitudes = np.abs(case.map)
        highest = magnitudes.max()
        if not highest > 0:
            return Outcome(Undefined(Reason.DEGENERATE, "the map is 0 everywhere"))
        return Outcome(self.measured(magnitudes / highest))
