"""What a comparison of models says; fields as in the messages of the same names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heatproof.evaluators.evaluation.results import Interval, Summary
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.removal import RemovalOperator


class Lack(StrEnum):
    """Why a difference, its interval or its p-value is missing."""

    NOTHING_SHARED = "NOTHING_SHARED"
    NO_VALUE = "NO_VALUE"
    SET_LEVEL = "SET_LEVEL"
    TOO_FEW_UNITS = "TOO_FEW_UNITS"
    NO_SPREAD = "NO_SPREAD"
    NO_METHOD = "NO_METHOD"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why something is missing, for machines and for people; the message is `Undefined`."""

    reason: Lack
    detail: str


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """What one of the compared models comes to.

    Attributes:
        model: its name.
        summary: its value over the shared images.
        scored: images that it has a value of, shared or not.
        result: index of the result that it is of.
    """

    model: str
    summary: Summary
    scored: int
    result: int


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """Two models on the images that all models share.

    Attributes:
        first: the model whose value counts positive.
        second: the model whose value is taken off.
        difference: value of the first less that of the second.
        interval: of the difference, two-sided.
        p_value: two-sided, of `there is no difference`.
        adjusted_p_value: after Holm's correction.
        units: units of sampling behind it.
        undefined: why one of them is missing.
    """

    first: str
    second: str
    difference: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    units: int = 0
    undefined: Missing | None = None


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """The models of an evaluation compared by one quantity.

    Attributes:
        metric: the metric.
        removal: the removal operator; None for metrics that remove nothing.
        explainer: the explainer; None for metrics of the model alone.
        part: what of the result is compared; "" for the score.
        direction: what a good value is.
        control: whether the explainer is a control.
        images: images that all models have the quantity of.
        unshared_images: images that only some of them have it of.
        models: the models, in the order of the spec.
        controls: what control maps get in the place of a model's, by name.
        differences: pairs of models.
        tests: p-values of the whole comparison; 0 before they are corrected.
        cautions: what must be known to read the differences.
    """

    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None
    part: str
    direction: Direction
    control: bool
    images: int
    unshared_images: int
    models: tuple[ComparedModel, ...]
    controls: Mapping[str, Summary]
    differences: tuple[ModelDifference, ...]
    tests: int = 0
    cautions: tuple[str, ...] = ()
