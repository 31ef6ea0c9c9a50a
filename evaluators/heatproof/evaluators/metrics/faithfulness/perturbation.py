"""What all metrics share that go over the regions of an image in the order of a map."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.curves import (
    Counts,
    PerturbationCurve,
    Schedule,
    check_steps,
    deletion_curve,
    insertion_curve,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.metrics.metric import OCCLUSION_CONFOUND, Metric
from heatproof.evaluators.outcomes import Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.regions.grid import Order, saliency_order
from heatproof.evaluators.regions.segmentation import check_holes
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNBOUNDED, Range, parameter
from heatproof.evaluators.removal.operator import RemovalOperator
from heatproof.evaluators.statistics.reductions import Mean, Reduction

COVERAGE: Final[Mapping[str, Reduction]] = {"n_zero_coverage": Mean(NOT_NEGATIVE)}
"""Parts of all these metrics: points at which the model saw nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The regions of an image in the order of a map, most salient first.

    Attributes:
        sample: the image.
        regions: its regions.
        order: the most salient one first; the least salient first is the exact reverse.
        removal: how regions are removed.
        output: what is read of an answer.
    """

    sample: Sample
    regions: Regions
    order: Order
    removal: RemovalOperator
    output: Output

    @property
    def clean(self) -> float:
        """What is read of the answer to the clean image."""
        return self.output.reading(self.sample)(self.sample.clean)

    def schedule(self, counts: Counts) -> Schedule:
        """Points with so many regions removed or shown."""
        return Schedule(self.regions, counts, self.removal)

    def removing(self, counts: Counts) -> Procedure[PerturbationCurve]:
        """Removes the most salient regions: so many at each point."""
        read = self.output.reading(self.sample)
        return deletion_curve(self.sample, self.schedule(counts), self.order, read)

    def showing(self, counts: Counts) -> Procedure[PerturbationCurve]:
        """Shows the most salient regions alone: so many at each point."""
        read = self.output.reading(self.sample)
        return insertion_curve(self.sample, self.schedule(counts), self.order, read)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbationMetric(Metric):
    """Goes over the regions of an image in the order of a map and reads what the model says.

    The engine of the presets in `perturbation_curves`, `road` and `erasure`. Equal masks of two of
    them are equal queries, which an evaluation answers once.
    """

    regions: Segmentation = parameter(Grid(), "What is removed at a time.")
    output: Output = parameter(Output.PROBABILITY, "What is read of an answer.")

    @property
    def segmentation(self) -> Segmentation:
        """What is removed at a time, whichever parameter says so."""
        return self.regions

    @abstractmethod
    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """Scores an image whose regions have an order."""

    @property
    def comparison_caution(self) -> str:
        """Whatever is read off masked images ranks models by their robustness."""
        return OCCLUSION_CONFOUND

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Counts of points without coverage."""
        return COVERAGE

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, or close again inside the network."""
        check_holes(self.segmentation, case.model.height, case.model.width, case.removal)

    def unfit(self, sample: Sample) -> Undefined | None:  # most score any image
        """Why an image is not scored, whatever its map."""
        return None

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        sample = case.sample
        if reason := self.unfit(sample):
            return Outcome(reason)
        regions = sample.regions(self.segmentation)
        order = saliency_order(regions, case.map, sample.rng("ties"))
        if isinstance(order, Undefined):
            return Outcome(order)
        return (yield from self.follow(Walk(sample, regions, order, case.removal, self.output)))

    def check_even_steps(self, steps: int, case: Case) -> None:
        """Refuses more even steps than regions, where their number is known beforehand.

        Raises:
            InvalidArgumentError: at `steps`.
        """
        if self.segmentation.is_fixed:
            check_steps(steps, self.segmentation.most(case.model.height, case.model.width))

    def range_of(self, bounds: Range) -> Range:
        """Where a number lies that has these bounds if it is made of probabilities."""
        return bounds if self.output is Output.PROBABILITY else UNBOUNDED

    @property
    def unit(self) -> str:
        """What the values of a curve are."""
        return f"class {self.output.value}"
