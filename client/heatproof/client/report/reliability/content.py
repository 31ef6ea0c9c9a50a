"""What every rendering of the reliability of metrics shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results import Report
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import ABSENT, ARROWS, Estimate, ends, number
from heatproof.client.report.rows import ClassNames
from heatproof.v1.reliability_pb2 import MetricReliability, OrderStep, RatedMaps
from heatproof.v1.results_pb2 import Direction

TRUST_LEGEND: Final = (
    "The mean is trusted where the model's own answers and an explainer are shown to score better "
    "than random maps, and noise on a map moves its score less than another map does; single "
    "images where these rank the maps alike (Krippendorff's alpha of 2/3 at least). Intervals are "
    "of 95 %."
)

TONES: Final = {"trusted": "good", "doubtful": "warning", "untrusted": "bad", "undecided": "quiet"}
"""How each verdict is shown."""

_TRUST: Final = MetricReliability.Trust.DESCRIPTOR
_ROLE: Final = MetricReliability.Role.DESCRIPTOR
_READINGS: Final = {
    MetricReliability.HOLDS_HOLDS: "better",
    MetricReliability.HOLDS_VIOLATED: "worse",
}


@dataclass(frozen=True, slots=True)
class MapRow:
    """The maps of one explainer.

    Attributes:
        explainer: whose maps.
        role: what they are to the test.
        score: the metric's.
        gain: how much better they score than random maps.
        reading: what the gain tells: `better`, `worse` or nothing.
    """

    explainer: str
    role: str
    score: Estimate
    gain: Estimate
    reading: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What is said of one metric.

    Attributes:
        model: the model.
        title: metric and removal operator, with an arrow for what a good score is.
        of_mean: whether the data set's score deserves trust.
        of_image: whether a single image's ranking does.
        image_agreement: Krippendorff's alpha.
        explainer_agreement: whether explainers rank images alike.
        resilience: what noise on a map does.
        images: how many were read, and how many were left out.
        reasons: why.
        maps: the rated maps.
        agreements: the other metrics, how the scores go together, and how the rankings do.
    """

    model: str
    title: str
    of_mean: str
    of_image: str
    image_agreement: Estimate
    explainer_agreement: Estimate
    resilience: Estimate
    images: str
    reasons: tuple[str, ...]
    maps: tuple[MapRow, ...]
    agreements: tuple[tuple[str, Estimate, Estimate], ...]


@dataclass(frozen=True, slots=True)
class ReliabilityContent:
    """Which metrics deserve trust, as text: made once of the messages, then only rendered.

    Attributes:
        content: the evaluation that it rests on.
        reliabilities: the messages.
        metrics: what is said of each metric.
    """

    content: Content
    reliabilities: tuple[MetricReliability, ...]
    metrics: tuple[MetricRow, ...]

    @classmethod
    def of(
        cls, report: Report, reliabilities: Sequence[MetricReliability], classes: ClassNames
    ) -> Self:
        """Puts what was found into words."""
        content = Content.of(report, classes)
        rows = tuple(_metric_row(one, content.captions) for one in reliabilities)
        return cls(content, tuple(reliabilities), rows)


def _metric_row(one: MetricReliability, captions: Captions) -> MetricRow:
    left_out = f" ({one.unshared_images} left out)" if one.unshared_images else ""
    return MetricRow(
        model=captions.model(one.model),
        title=_title(captions.short(one.metric), captions.short(one.removal), one.direction),
        of_mean=short_name(_TRUST, one.trust_of_mean),
        of_image=short_name(_TRUST, one.trust_of_image),
        image_agreement=Estimate.of(one.image_agreement),
        explainer_agreement=Estimate.of(one.explainer_agreement),
        resilience=Estimate.of(one.resilience),
        images=f"{one.images}{left_out}",
        reasons=tuple(one.reasons),
        maps=tuple(_map_row(one, place, rated, captions) for place, rated in enumerate(one.maps)),
        agreements=tuple(
            (
                _title(captions.short(held.metric), captions.short(held.removal)),
                Estimate.of(held.correlation),
                Estimate.of(held.rank_correlation),
            )
            for held in one.agreements
        ),
    )


def _title(
    metric: str, removal: str, direction: Direction.ValueType = Direction.DIRECTION_UNSPECIFIED
) -> str:
    arrow = ARROWS.get(direction, "")
    return " · ".join(part for part in (f"{metric} {arrow}".strip(), removal) if part)


def _map_row(one: MetricReliability, place: int, rated: RatedMaps, captions: Captions) -> MapRow:
    steps = [step for step in one.steps if step.better == place and _is_random(one, step)]
    gain = _gain(steps[0]) if steps else Estimate(ABSENT, ABSENT)
    return MapRow(
        explainer=captions.short(rated.explainer),
        role=short_name(_ROLE, rated.role),
        score=Estimate.of(rated.summary),
        gain=gain,
        reading=_READINGS.get(steps[0].holds, "") if steps else "",
    )


def _is_random(one: MetricReliability, step: OrderStep) -> bool:
    return one.maps[step.worse].role == MetricReliability.ROLE_RANDOM


def _gain(step: OrderStep) -> Estimate:
    value = number(step.gain) if step.HasField("gain") else ABSENT
    return Estimate(value, ends(step.interval) if step.HasField("interval") else ABSENT)
