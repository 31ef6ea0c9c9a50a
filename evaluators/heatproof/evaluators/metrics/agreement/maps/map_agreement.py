"""The engine of agreement: a map against a second one, over pixels or over cells."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.explainers import Explainer, Occlusion
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.agreements import TopCells
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.metric import Cost, Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells, descending
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_ROUNDING: Final = 1e-12
"""Scores this near to 1 are those of equal maps."""

_SECOND: Final = Occlusion()


class Against(StrEnum):
    """What a map is compared with.

    Attributes:
        EXPLAINER: the map of a second explainer on the same model.
        MODELS: the maps of the same explainer on the other models of the evaluation.
    """

    EXPLAINER = "explainer"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class MapAgreement(Metric):
    """Compares a map with a second explainer's, or with those of the other models.

    Between models the score of each is the mean over the others; of two models both have the same,
    but of measures that are not symmetric. The comparison between models is ours.
    """

    scores: ClassVar[Range] = Range(-1, 1)
    """Where a score lies."""

    common: ClassVar[tuple[float, ...]] = (1.0,)
    """Scores that a real share of images has exactly: 1 of maps that are equal, as of an export."""

    other: Explainer = parameter(_SECOND, "Whose map it is compared with.")
    against: Against = parameter(
        Against.EXPLAINER, "A second explainer's map, or the other models' maps of the same one."
    )

    @property
    def reduction(self) -> Reduction:
        """The mean."""
        return Mean(self.scores, self.common)

    @property
    def reads(self) -> tuple[Reads, ...]:
        """Between models what all of them show and are asked about; supplied maps know no model."""
        if self._is_second:
            return self.facts.reads
        return (*self.facts.reads, Reads.EXPLAINER, Reads.PANEL_MAPS, Reads.PANEL_TARGETS)

    @property
    def _is_second(self) -> bool:
        return self.against is Against.EXPLAINER

    @property
    def is_mutual(self) -> bool:
        """Between models."""
        return not self._is_second

    def asked_by(self, read: Reads) -> str:
        """Other models are read where the maps are compared between models."""
        return "" if read in self.facts.reads else "against"

    @property
    def comparison_caution(self) -> str:
        """What agreement is, and what it is not."""
        return (
            "maps that agree may be wrong together: read it beside a faithfulness metric"
            if self._is_second
            else "of two models both have the same score, so read the score and no difference"
        )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """Those of the second explainer."""
        return self.other.passes(model) if self._is_second else ()

    def check(self, case: Case) -> None:
        """Refuses what the second explainer refuses, and one that would not be asked."""
        if self._is_second:
            with placed(f"other.{self.other.name}"):
                self.other.check(case.model)
        elif self.other != _SECOND:
            raise InvalidArgumentError(
                f"against models compares the maps of one explainer on several models, so that "
                f"{self.other.name} would not be asked: leave other out, or compare against "
                "explainer",
                field="other",
            )
        self.check_level(case)

    def check_level(self, case: Case) -> None:  # pixels fit every model
        """Refuses parts of the image that do not fit the model.

        Raises:
            InvalidArgumentError: at the parameter.
        """

    def cost(self, case: Case) -> Cost:
        """One explanation by the second explainer; between models nothing."""
        return Cost(views=self.other.cost(case.model) if self._is_second else 0)

    def score(self, case: Case) -> Procedure[Outcome]:
        """The likeness of two maps, or the mean over those of the other models."""
        if self._is_second:
            made = yield from self.other.explain(case.sample)
            return self._outcome(case, [made])
        if reason := _disagreement(case):
            return Outcome(reason)
        return self._outcome(case, [made for _, made in _others(case)])

    def _outcome(self, case: Case, others: list[Map | Undefined]) -> Outcome:
        found: list[float] = []
        for made in others:
            score = self._agreement(case, made)
            if isinstance(score, Undefined):
                return Outcome(score)
            found.append(score)
        return Outcome(float(np.mean(found)), self.constants(case))

    def _agreement(self, case: Case, made: Map | Undefined) -> Score:
        if isinstance(made, Undefined):
            return Undefined(made.reason, f"the map to compare with: {made.detail}")
        if not np.isfinite(made).all():
            return Undefined(Reason.NOT_FINITE, "the map to compare with holds NaN or infinity")
        for which, one in (("", case.map), (" to compare with", made)):
            if is_constant(one.reshape(-1)):
                return Undefined(Reason.DEGENERATE, f"the map{which} is constant")
        found = self.likeness(case.map, made, case.sample)
        if found is None:
            return Undefined(Reason.DEGENERATE, "a map holds nothing that could agree")
        return 1.0 if abs(found - 1) <= _ROUNDING else self.scores.clip(found)

    def constants(self, case: Case) -> dict[str, Score]:  # most have none
        """Parts that every image has alike."""
        return {}

    @abstractmethod
    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """The likeness of two maps that are not constant; None where a measure finds them so."""


@dataclass(frozen=True, slots=True)
class CellAgreement(MapAgreement):
    """Compares what two maps say of the cells of a grid."""

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 64))

    def check_level(self, case: Case) -> None:
        """Refuses cells smaller than a pixel."""
        case.grid(self.grid).check()

    def cells(self, sample: Sample) -> GridCells:
        """The cells of an image."""
        return GridCells(sample.height, sample.width, self.grid)


@dataclass(frozen=True, slots=True)
class TopCellsAgreement(CellAgreement):
    """Compares the cells of largest magnitude of two maps."""

    scores: ClassVar[Range] = UNIT
    common: ClassVar[tuple[float, ...]] = (0.0, 1.0)

    share: float = parameter(
        0.1, "Share of the cells that are compared.", within=Range(0, 1, lower_included=False)
    )

    @property
    def _count(self) -> int:
        return max(1, int(self.share * self.grid**2 * (1 + _ROUNDING)))

    def top(self, made: Map, sample: Sample) -> TopCells:
        """The first cells by the magnitude of their summed attribution."""
        sums = self.cells(sample).sums(made)
        order = descending(np.abs(sums), sample.rng("ties"))
        return TopCells.of(order, sums, self._count)

    @property
    def chance(self) -> float:
        """The share of the cells that two random maps have in common."""
        return self._count / self.grid**2


def _others(case: Case) -> Iterator[tuple[str, Map]]:
    own = case.model.model
    return ((model, made) for model, made in case.panel_maps.items() if model != own)


def _disagreement(case: Case) -> Undefined | None:
    """Why maps of several models do not explain one thing."""
    targets = case.panel_targets
    if len(set(targets.values())) <= 1:
        return None
    said = ", ".join(f"{model} has {target}" for model, target in targets.items())
    return Undefined(Reason.DISAGREEMENT, f"the models do not agree on the class: {said}")
