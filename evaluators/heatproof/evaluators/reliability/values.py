"""What is said of the reliability of a metric; fields as in the messages of the same names."""

from dataclasses import dataclass
from enum import StrEnum

from heatproof.evaluators.evaluation.results import Interval, Summary
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.removal import RemovalOperator


class Role(StrEnum):
    """What a map is to a metric that is put to the test."""

    RANDOM = "random"
    BLIND = "blind"
    EXPLAINER = "explainer"
    ORACLE = "oracle"


class Holds(StrEnum):
    """Whether an order is found."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


class Trust(StrEnum):
    """Whether a score deserves trust."""

    TRUSTED = "trusted"
    DOUBTFUL = "doubtful"
    UNTRUSTED = "untrusted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class RatedMaps:
    """The maps of one explainer, as the metric scores them.

    Attributes:
        explainer: whose maps.
        role: what they are to the test.
        result: index of the result.
        summary: the score over the shared images.
    """

    explainer: Explainer
    role: Role
    result: int
    summary: Summary


@dataclass(frozen=True, slots=True)
class OrderStep:
    """Two explainers of which the metric should put one above the other.

    Attributes:
        worse: place among the rated maps of the one that should score worse.
        better: place of the one that should score better.
        gain: how much better the latter scores, in the metric's unit; None if that is not known.
        interval: of the gain, two-sided.
        holds: whether the interval lies above 0.
    """

    worse: int
    better: int
    gain: float | None
    interval: Interval | None
    holds: Holds


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """How two metrics go together over the images.

    Attributes:
        metric: the other one.
        removal: its removal operator; None for metrics that remove nothing.
        correlation: mean over explainers of Spearman's correlation over images, both scores counted
            so that higher is better.
        rank_correlation: Spearman's correlation of the mean scores of the random, blind and
            explainers' maps: whether both put them in one order.
    """

    metric: Metric
    removal: RemovalOperator | None
    correlation: Summary
    rank_correlation: Summary


@dataclass(frozen=True, slots=True)
class MetricReliability:
    """Whether the scores of a metric deserve trust on one model and its images.

    Attributes:
        model: name of the model.
        metric: the metric.
        removal: the removal operator; None for metrics that remove nothing.
        direction: what a good score is.
        images: images that all maps have a score of: everything is over these.
        unshared_images: images that only some maps have a score of.
        maps: the rated maps.
        steps: pairs whose order is known or asked for.
        image_agreement: Krippendorff's alpha: whether images rank the maps alike.
        explainer_agreement: mean over pairs of explainers of Spearman's correlation over images.
        resilience: share of cases in which disturbing a map moves its score less than replacing it.
        agreements: with the other metrics.
        trust_of_mean: whether the data set's score deserves trust.
        trust_of_image: whether one image's ranking does.
        reasons: why, a sentence each.
    """

    model: str
    metric: Metric
    removal: RemovalOperator | None
    direction: Direction
    images: int
    unshared_images: int
    maps: tuple[RatedMaps, ...]
    steps: tuple[OrderStep, ...]
    image_agreement: Summary
    explainer_agreement: Summary
    resilience: Summary
    agreements: tuple[MetricAgreement, ...]
    trust_of_mean: Trust
    trust_of_image: Trust
    reasons: tuple[str, ...]
