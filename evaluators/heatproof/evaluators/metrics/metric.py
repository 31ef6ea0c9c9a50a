"""The seam for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.evaluation.inventory import Inventory
from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.faithfulness.curves import Track
from heatproof.evaluators.outcomes import Curve, Direction, Outcome
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.regions.grid import Grid
from heatproof.evaluators.registry.registry import Need, Registry
from heatproof.evaluators.removal.operator import RemovalOperator
from heatproof.evaluators.statistics.reductions import Reduction


@dataclass(frozen=True, slots=True)
class Setting:
    """What a metric is scored with.

    Attributes:
        facts: what the model is and can do.
        removal: the removal operator; None if the metric needs none.
        explainer: the explainer; None if the metric needs none.
    """

    facts: PredictorFacts
    removal: RemovalOperator | None
    explainer: Explainer | None

    def track(self, side: int, steps: int) -> Track:
        """How a metric that removes cells draws its curves.

        Raises:
            InternalError: the metric does not declare that it needs a removal operator.
        """
        if self.removal is None:
            raise InternalError("a metric draws curves but does not need a removal operator")
        return Track(Grid(self.facts.height, self.facts.width, side), steps, self.removal)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image to score.

    Attributes:
        scene: the image as the model sees it.
        setting: what the metric is scored with.
        attribution: the explainer's map; None if the metric needs none.
    """

    scene: Scene
    setting: Setting
    attribution: Map | None

    @property
    def map(self) -> Map:
        """The explainer's map.

        Raises:
            InternalError: the metric does not declare that it needs an explainer.
        """
        if self.attribution is None:
            raise InternalError("a metric reads a map but does not need an explainer")
        return self.attribution


@runtime_checkable
class Metric(Protocol):
    """Scores one image.

    Attributes:
        name: key in the registry.
        reference: paper it comes from, or `Heatproof`.
        needs: `explainer` and `removal` say what a score depends on; `gradients` what it takes.
        category: group in the catalog, such as `faithfulness`.
        direction: what a good score is.

    The reductions are properties, for parameters may decide the range.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    category: ClassVar[str]
    direction: ClassVar[Direction]

    @property
    def reduction(self) -> Reduction:
        """How the images' scores become the data set's, with the range and atoms of a score."""
        ...

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The same for parts; parts not named here are averaged, without range and atoms."""
        ...

    def check(self, setting: Setting) -> None:
        """Refuses parameters that do not fit together, the model or the operator.

        Raises:
            InvalidArgumentError: its field is the parameter at fault.
        """
        ...

    def predictions(self, setting: Setting) -> int:
        """Upper bound of the rows that one image costs, the clean and the empty image excluded."""
        ...

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        ...


@runtime_checkable
class DependsOnImages(Protocol):
    """A metric with a parameter that may be left to what comes with the images."""

    def resolved(self, inventory: Inventory) -> Metric:
        """The metric with that parameter decided, the same for all images.

        Raises:
            InvalidArgumentError: the images lack what the parameter reads; names the parameter.
        """
        ...

    def leaves_open(self, other: Metric) -> bool:
        """Whether `other` is this metric with its open parameter decided."""
        ...

    def require_comparable(self) -> None:
        """Refuses parameters by which scores of two models cannot be compared.

        Raises:
            InvalidArgumentError: names the parameter and what to choose instead.
        """
        ...


@runtime_checkable
class DescribesCurves(Protocol):
    """A metric that also reads numbers off the mean curves of the data set."""

    def described(self, curves: Mapping[str, Curve]) -> Mapping[str, float]:
        """Descriptive parts, without an interval, by name."""
        ...


@runtime_checkable
class ReadsObjects(Protocol):
    """A metric that may read the object masks of the images."""

    def reads_objects(self) -> bool:
        """Whether its scores depend on them."""
        ...


def resolved(metric: Metric, inventory: Inventory) -> Metric:
    """The metric with every parameter decided that may be left to the images.

    Raises:
        InvalidArgumentError: at the parameter, if the images lack what it reads.
    """
    return metric.resolved(inventory) if isinstance(metric, DependsOnImages) else metric


def is_answered_by(asked: Metric, given: Metric) -> bool:
    """Whether a result of `given` answers who asked for `asked`."""
    return asked == given or (isinstance(asked, DependsOnImages) and asked.leaves_open(given))


METRICS: Registry[Metric] = Registry("metric")
