"""Segment removal: whether predictions stay as more and more of the image is removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import placed
from heatproof.evaluators.images.labels import classes_of
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.class_matrix import ClassMatrix
from heatproof.evaluators.metrics.masking.predicted_class import (
    NO_LABEL,
    hit,
    label_hit,
    predicted_class,
    unlabelled,
)
from heatproof.evaluators.metrics.metric import (
    METRICS,
    OCCLUSION_CONFOUND,
    Cost,
    Metric,
    MetricCategory,
    MetricFacts,
)
from heatproof.evaluators.outcomes import (
    Curve,
    CurveFacts,
    CurveRole,
    Direction,
    Outcome,
    Reason,
    Score,
    Undefined,
)
from heatproof.evaluators.queries.procedure import Prediction, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.regions.grid import Order, comparable, descending, ranks
from heatproof.evaluators.regions.segmentation import check_holes
from heatproof.evaluators.registry.parameters import (
    NOT_NEGATIVE,
    UNBOUNDED,
    UNIT,
    Range,
    parameter,
)
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import (
    Entropy,
    EntropyCeiling,
    Mean,
    Proportion,
    Reduction,
)


class RemovalOrder(StrEnum):
    """Which segments are removed first."""

    RANDOM = "random"
    MORF = "morf"
    LERF = "lerf"


@METRICS.register
@dataclass(frozen=True, slots=True)
class SegmentRemoval(Metric):
    """Takes the share of unchanged predictions as segments are removed.

    `i * n // fractions` of the n segments are removed, i = 0..fractions; the score is the mean over
    these of [predicted class = clean one]. The random order is one an image, shared by all
    fractions, operators and models; the salient ones go by the sum of the map in a segment. What
    asks for the true class is counted where there is none.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="segment_removal",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        category=MetricCategory.MASKING,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.REMOVAL,),
    )

    regions: Segmentation = parameter(Grid(16), "The segments; the default has a side of 16.")
    order: RemovalOrder = parameter(RemovalOrder.RANDOM, "Which segments are removed first.")
    fractions: int = parameter(10, "Steps from the whole image to none.", within=Range(1, 100))
    similarity: ClassMatrix = parameter(
        ClassMatrix(), "How alike each predicted class and each true one are."
    )

    @property
    def reads(self) -> tuple[Reads, ...]:
        """The salient orders read a map."""
        salient = () if self.order is RemovalOrder.RANDOM else (Reads.ATTRIBUTION,)
        return (*salient, Reads.REMOVAL)

    @property
    def reduction(self) -> Reduction:
        """The mean share of unchanged predictions."""
        return Mean(UNIT)

    @property
    def comparison_caution(self) -> str:
        """Made to compare operators on one model."""
        return OCCLUSION_CONFOUND

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Hits at each fraction, accuracy, entropies of the predicted classes, and counts."""
        entropies = dict.fromkeys(self._points("class_entropy"), Entropy())
        hits = dict.fromkeys([*self._points("unchanged"), *self._points("accuracy")], Proportion())
        return {
            **entropies,
            **hits,
            "accuracy": Mean(UNIT),
            "class_similarity": Mean(self.similarity.range or UNBOUNDED),
            "class_entropy_ceiling": EntropyCeiling(),
            "n_zero_coverage": Mean(NOT_NEGATIVE),
        }

    @property
    def echoed(self) -> Metric:
        """Without the values of the matrix."""
        return replace(self, similarity=self.similarity.digest_alone)

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose mean is the score, and that of the accuracy."""
        unit, x_unit = "share of images", "share of segments hidden"
        return {
            "unchanged": CurveFacts("unchanged predictions", CurveRole.SCORED, unit, x_unit),
            "accuracy": CurveFacts("accuracy", CurveRole.REFERENCE, unit, x_unit),
            "class_similarity": CurveFacts(
                "class similarity", CurveRole.REFERENCE, "class similarity", x_unit
            ),
        }

    def described(
        self,
        curves: Mapping[str, Curve],  # as the seam says
        parts: Mapping[str, float],
    ) -> Mapping[str, float]:
        """`class_entropy`: the mean of the entropies over the fractions."""
        found = [parts[name] for name in self._points("class_entropy") if name in parts]
        if len(found) <= self.fractions:
            return {}
        return {"class_entropy": float(np.mean(found))}

    def check(self, case: Case) -> None:
        """Refuses segments that do not fit the input, or close again inside the network."""
        height, width = case.model.height, case.model.width
        check_holes(self.regions, height, width, case.removal)
        with placed("similarity"):
            self.similarity.check(case.model.classes)

    def cost(self, case: Case) -> Cost:
        """Every fraction but the whole image and the empty one."""
        return Cost(views=self.fractions - 1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean over i of [argmax f(x - first i * n // fractions segments) = argmax f(x)]`."""
        sample = case.sample
        regions = sample.regions(self.regions)
        order = self._order(case, regions)
        if isinstance(order, Undefined):
            return Outcome(order)
        places = ranks(order)
        counts = np.arange(self.fractions + 1) * regions.cells // self.fractions
        views = (sample.view(regions.spread(places >= count), case.removal) for count in counts)
        answers: list[Prediction] = []
        for chunk in chunks(views):
            answers += yield from ask(chunk)
        return self._outcome(sample, answers)

    def _order(self, case: Case, regions: Regions) -> Order | Undefined:
        if self.order is RemovalOrder.RANDOM:
            return case.sample.rng("segments").permutation(regions.cells)
        sums = regions.sums(case.map)
        levels = comparable(sums)
        if levels.min() == levels.max():
            return Undefined(Reason.DEGENERATE, "all segments have the same attribution")
        order = descending(sums, case.sample.rng("ties"))
        return order if self.order is RemovalOrder.MORF else order[::-1]

    def _outcome(self, sample: Sample, answers: Sequence[Prediction]) -> Outcome:
        classes = [predicted_class(answer) for answer in answers]
        curves = self._curves(sample, answers)
        fractions = tuple((np.arange(self.fractions + 1) / self.fractions).tolist())
        parts: dict[str, Score] = dict(zip(self._points("class_entropy"), classes, strict=True))
        parts["class_entropy_ceiling"] = float(sample.facts.classes)
        parts["n_zero_coverage"] = float(sum(answer.coverage == 0 for answer in answers))
        for name, values in curves.items():
            if name != "class_similarity":
                parts |= dict(zip(self._points(name), values, strict=True))
        labelled = ("accuracy", *(("class_similarity",) if self.similarity.classes else ()))
        lacking = unlabelled(sample.label) or NO_LABEL
        for name in labelled:
            parts[name] = float(np.mean(curves[name])) if name in curves else lacking
        return Outcome(
            float(np.mean(curves["unchanged"])),
            parts,
            {name: Curve(fractions, tuple(values)) for name, values in curves.items()},
        )

    def _curves(self, sample: Sample, answers: Sequence[Prediction]) -> dict[str, list[float]]:
        """What each fraction says; of an image without a label only whether it is unchanged."""
        clean = predicted_class(sample.clean)
        curves = {"unchanged": [hit(answer, clean) for answer in answers]}
        if unlabelled(sample.label):
            return curves
        curves["accuracy"] = [label_hit(answer, sample.label) for answer in answers]
        if self.similarity.classes:
            classes = map(predicted_class, answers)
            curves["class_similarity"] = [
                max(self.similarity.between(one, held) for held in classes_of(sample.label))
                for one in classes
            ]
        return curves

    def _points(self, name: str) -> tuple[str, ...]:
        """Parts that hold what an image has at each fraction."""
        return tuple(f"{name}_{index}_of_{self.fractions}" for index in range(self.fractions + 1))
