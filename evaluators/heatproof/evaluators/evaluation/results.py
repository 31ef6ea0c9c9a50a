"""Scores, curves and summaries: what an evaluation returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.labels import Label, LabelSet
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Curve, Direction, Score
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.statistics.groups.units import Units


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of an estimate.

    Attributes:
        lower: lower end.
        upper: upper end.
        level: confidence level.
        method: `bootstrap_t`, `wilson`, `wilson_bootstrap_t`, `betting`, `confidence_sequence`,
            `newcombe`, `percentile` or `simultaneous`.
    """

    lower: float
    upper: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Scores of a data set.

    Attributes:
        value: mean, ratio of means or proportion; None if nothing was scored.
        standard_error: of the estimate; None below 2 units of sampling.
        interval: of the estimate, within the score's range; None below 8 units, or where the
            scores are so equal that they do not tell.
        scored: images with a score, those of equal bytes counted once.
        undefined: images without a score, by reason.
        units: units of sampling with a score: groups where the images have them, else `scored`.
    """

    value: float | None
    standard_error: float | None
    interval: Interval | None
    scored: int
    undefined: Mapping[str, int]
    units: int = 0


class SamplingUnit(StrEnum):
    """What intervals and tests take for one independent sample."""

    IMAGE = "image"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Sampling:
    """What intervals and tests resample; fields as in the message of the same name.

    Attributes:
        unit: images, or groups of them.
        units: how many there are.
        images: images of different bytes.
        copies: images whose bytes an earlier image has; they count nowhere.
        units_left_out: units of the data set that were not to be evaluated.
    """

    unit: SamplingUnit
    units: int
    images: int
    copies: int
    units_left_out: int = 0

    @classmethod
    def of(cls, units: Units) -> "Sampling":
        """Counts the units of a data set; for that, nothing need be scored."""
        unit = SamplingUnit.GROUP if units.grouped else SamplingUnit.IMAGE
        return cls(unit, units.count, len(units.images), units.copies)


@dataclass(frozen=True, slots=True)
class SequentialUnits:
    """How far a sequential evaluation went; fields as in the message of the same name.

    Attributes:
        units: units of sampling that were evaluated: images, or groups of them.
        units_total: those of all data.
    """

    units: int
    units_total: int

    @property
    def stopped_early(self) -> bool:
        """Whether units were left out, which its scores decided."""
        return self.units < self.units_total


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Score of a group of images; fields as in the message of the same name."""

    group: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Disparity:
    """The worst group of images against the best. Ours.

    Attributes:
        value: how much worse it is; None unless `groups` are compared.
        interval: of the difference between the truly worst and the truly best group; None where
            one of those that are compared has none.
        worst: the group with the worst score.
        best: the group with the best score.
        groups: groups with enough images that have a score.
        small_groups: groups with fewer.
    """

    value: float | None = None
    interval: Interval | None = None
    worst: GroupScore | None = None
    best: GroupScore | None = None
    groups: int = 0
    small_groups: int = 0


@dataclass(frozen=True, slots=True)
class MetricResult:
    """Score of one metric for its models, removal operator and explainer over the data set.

    Its fields are those of the message of the same name.
    """

    models: tuple[str, ...]
    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None
    direction: Direction
    summary: Summary
    parts: Mapping[str, Summary]
    curves: Mapping[str, Curve]
    disparity: Disparity | None = None


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """Probability of a class."""

    class_index: int
    probability: float


@dataclass(frozen=True, slots=True)
class CleanPrediction:
    """A model's answer to a clean image.

    Attributes:
        model: name of the model.
        target: class that is explained; -1 where the spec's target is more than one class.
        top: the most probable classes, at most 5, most probable first.
        logits: those of all classes, of an image with a set of classes; () of others.
    """

    model: str
    target: int
    top: tuple[ClassProbability, ...]
    logits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """How well a model tells the images of a class; fields as in the message of the same name."""

    model: str
    class_index: int
    value: float
    images: int


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Score of one image.

    Attributes:
        result: index among the evaluation's results.
        score: the score, or why there is none.
        parts: what it is made of and its controls.
        curves: the curves behind it.
    """

    result: int
    score: Score
    parts: Mapping[str, Score]
    curves: Mapping[str, Curve]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture of a map laid over the image.

    Attributes:
        model: name of the model.
        explainer: what made the map.
        png: the picture, a PNG file.
        lowest: attribution up to which nothing is drawn.
        highest: attribution from which on it is drawn brightest.
    """

    model: str
    explainer: Explainer
    png: bytes
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class InputPicture:
    """An image as a model sees it, as a JPEG file."""

    model: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Everything about one image.

    Attributes:
        image: SHA-256 of its bytes.
        display_name: name to show.
        label: true class, if given.
        predictions: what each model says of the clean image.
        scores: one for each result that scores single images.
        overlays: pictures of the maps, if asked for.
        input_pictures: the image as each model sees it, if overlays were asked for.
        group: group of the image (patient, scene, camera); "" for none.
        object_mask: SHA-256 of its object mask with the frame, its boxes or both; "" without.
        labels: all classes that it shows, if given instead of a true class.
    """

    image: str
    display_name: str
    label: int | None
    predictions: tuple[CleanPrediction, ...]
    scores: tuple[ImageScore, ...]
    overlays: tuple[Overlay, ...] = field(default=())
    input_pictures: tuple[InputPicture, ...] = field(default=())
    group: str = ""
    object_mask: str = ""
    labels: LabelSet | None = None

    @property
    def truth(self) -> Label | None:
        """What is known of its classes."""
        return self.label if self.labels is None else self.labels
