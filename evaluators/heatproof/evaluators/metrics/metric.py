"""The seam for metrics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.outcomes import Curve, CurveFacts, Direction, Outcome
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.registry import Facts, Reads, Registered, Registry
from heatproof.evaluators.statistics.reductions import Mean, Reduction


class MetricCategory(StrEnum):
    """Groups of the catalog."""

    FAITHFULNESS = "faithfulness"
    AXIOMS = "axioms"
    ROBUSTNESS = "robustness"
    RANDOMIZATION = "randomization"
    LOCALIZATION = "localization"
    COMPLEXITY = "complexity"
    AGREEMENT = "agreement"
    COMPARISON = "comparison"
    MASKING = "masking"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts(Facts):
    """What a metric says of itself.

    Attributes:
        category: its group in the catalog.
        direction: what a good score is.
    """

    category: MetricCategory
    direction: Direction


@dataclass(frozen=True, slots=True)
class Cost:
    """Upper bound of what one image costs beside the clean image, the empty ones and the maps.

    Attributes:
        views: predictions.
        gradients: gradients, each a row as well.
        explanations: maps that the case's explainer makes anew.
    """

    views: int = 0
    gradients: int = 0
    explanations: int = 0

    def rows(self, explanation: int) -> int:
        """Rows in all, where a map costs `explanation` of them."""
        return self.views + self.gradients + self.explanations * explanation


@dataclass(frozen=True, slots=True)
class PanelPart:
    """A quantity of each model among the parts of a result over several models.

    Attributes:
        name: what it is called.
        of_models: the part of each model, in their order.
        of_controls: the part of each control map, by the map's name.
        caution: what must be known to compare models by it, in a sentence.
    """

    name: str
    of_models: tuple[str, ...]
    of_controls: Mapping[str, str]
    caution: str = ""


_OF_THE_EXPLAINED_MODEL: Final = frozenset(
    {Reads.EXPLAINER, Reads.RANDOMIZED_MODELS, Reads.PANEL, Reads.PANEL_MAPS, Reads.PANEL_TARGETS}
)
"""What ties a metric to the model that is explained."""


class Metric(Registered, ABC):
    """Scores one image. The reductions are properties, for parameters may decide the range."""

    __slots__ = ()

    parameter_type: ClassVar[str] = "metric"

    # Narrower than in the base, and never assigned anew.
    facts: ClassVar[MetricFacts]  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def direction(self) -> Direction:
        """What a good score is."""
        return self.facts.direction

    def asked_by(self, read: Reads) -> str:  # most read what they always do
        """The parameter by which it reads this; "" where it always does."""
        return ""

    @property
    def takes_explainer(self) -> bool:
        """Whether a score depends on an explainer."""
        return not {Reads.ATTRIBUTION, Reads.EXPLAINER}.isdisjoint(self.reads)

    @property
    def takes_removal(self) -> bool:
        """Whether a score depends on a removal operator."""
        return Reads.REMOVAL in self.reads

    @property
    def takes_evaluator(self) -> bool:
        """Whether another model may judge the map: regions are hidden, and no map is made anew."""
        judges = {Reads.ATTRIBUTION, Reads.REMOVAL} <= set(self.reads)
        return judges and _OF_THE_EXPLAINED_MODEL.isdisjoint(self.reads)

    @property
    def reduction(self) -> Reduction:
        """How the images' scores become the data set's, with the range and atoms of a score."""
        return Mean()

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The same for parts; parts not named here are averaged, without range and atoms."""
        return {}

    def reductions(self, models: int) -> Mapping[str, Reduction]:  # read by those that compare
        """All of them, the score's under "": of a result over so many models."""
        return {**self.part_reductions, "": self.reduction}

    def resolved(self, inventory: Inventory) -> "Metric":  # most leave nothing open
        """The metric with every parameter decided that may be left to the images.

        Raises:
            InvalidArgumentError: the images lack what the parameter reads; names the parameter.
        """
        return self

    def leaves_open(self, other: "Metric") -> bool:  # as above
        """Whether `other` is this metric with its open parameter decided."""
        return False

    def require_comparable(self) -> None:  # most compare
        """Refuses parameters by which scores of two models cannot be compared.

        Raises:
            InvalidArgumentError: names the parameter and what to choose instead.
        """

    @property
    def comparison_caution(self) -> str:
        """What must be known to compare models by its scores, in a sentence; "" if nothing."""
        return "" if self.takes_explainer else NO_MAP_ENTERS

    @property
    def is_mutual(self) -> bool:
        """Whether a score is as much of the other models as of the one that has it."""
        return False

    def panel_parts(self, models: int) -> tuple[PanelPart, ...]:  # of those over several models
        """Which of its parts are quantities of one model each; its score is that of all."""
        return ()

    @property
    def echoed(self) -> "Metric":
        """The equal metric that results name: a digest stands for what is large."""
        return self

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:  # most ask for predictions
        """Ways to run the model beyond the plain one and the operator's, which it must support."""
        return ()

    def check(self, case: Case) -> None:  # most parameters fit any model
        """Refuses parameters that do not fit together, the model or the operator.

        Args:
            case: what will be scored with; its image is not there yet.

        Raises:
            InvalidArgumentError: its field is the parameter at fault.
        """

    def cost(self, case: Case) -> Cost:  # maps alone cost nothing
        """Upper bound of what one image costs; `case` holds no image yet."""
        return Cost()

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """How its curves are drawn, by their names; others go by their name."""
        return {}

    def described(  # most describe none
        self, curves: Mapping[str, Curve], parts: Mapping[str, float]
    ) -> Mapping[str, float]:
        """Descriptive parts read off the data set's mean curves and parts, without an interval."""
        return {}

    @abstractmethod
    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""


def is_answered_by(asked: Metric, given: Metric) -> bool:
    """Whether a result of `given` answers who asked for `asked`."""
    return asked == given or asked.leaves_open(given)


NO_MAP_ENTERS: Final = "a property of the model and no quality of its maps, which do not enter it"
"""The caution of what is scored without an explainer."""

OCCLUSION_CONFOUND: Final = (
    "confounded by how well a model withstands any occlusion: one trained on cut or mixed images "
    "keeps its answer whatever is hidden, so that better values need not mean better maps; compare "
    "models by occlusion_corrected_deletion or inter_model_deletion"
)
"""The caution of what is read off masked images without a correction."""

METRICS: Registry[Metric] = Registry("metric")
