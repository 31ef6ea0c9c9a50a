"""Takes the smallest share of the regions that suffices for the class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.erasure.stepwise import StepwiseMetric
from heatproof.evaluators.metrics.faithfulness.perturbation import Walk
from heatproof.evaluators.metrics.functions.curves import PerturbationCurve
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class MinimalSubset(StepwiseMetric):
    """Takes the smallest share of the regions, most relevant first, that suffices for the class.

    The first share t > 0 of the insertion curve with `s(the first t alone) >= (1 - loss) s(x)`.
    After Nguyen and Rodriguez Martinez 2020, whose effective complexity asks for the error of a
    model under draws; this form, over one operator's removals, is ours. The queries are those of
    `Insertion`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="minimal_subset",
        reference="Heatproof, after Nguyen and Rodriguez Martinez 2020, arXiv 2007.07584",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.INSERTION

    loss: float = parameter(
        0.1, "Share of the class that may be lost.", within=Range(0, 1, upper_included=False)
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the shares."""
        return Mean(Range(0, 1, lower_included=False))

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`min t_i with y(the first t_i alone) >= (1 - loss) y(x)`."""
        trace = yield from self.course.trace(walk)
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        curve = self.course.curve(trace, is_fixed=self.regions.is_fixed)
        return Outcome(self._share(trace), parts, {self.name: curve})

    def _share(self, trace: PerturbationCurve) -> Score:
        if not np.isfinite(trace.values).all():
            return np.nan
        whole = trace.values[-1]
        if not whole > 0:
            detail = f"the clean image has {whole:.2g}, of which no share can be kept"
            return Undefined(Reason.NO_CONFIDENCE, detail)
        suffices = (trace.values >= (1 - self.loss) * whole) & (trace.fractions > 0)
        return float(trace.fractions[suffices.argmax()])
