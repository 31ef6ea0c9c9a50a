"""Scores, curves and summaries: what an evaluation returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Curve, Direction, Score
from heatproof.evaluators.removal import RemovalOperator


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of an estimate.

    Attributes:
        lower: lower end.
        upper: upper end.
        level: confidence level.
        method: `bootstrap_t` or `wilson`.
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
        standard_error: of the estimate; None below 2 images.
        interval: of the estimate; None below 8 images.
        scored: images with a score.
        undefined: images without a score, by reason.
    """

    value: float | None
    standard_error: float | None
    interval: Interval | None
    scored: int
    undefined: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MetricResult:
    """Score of one metric for one model, removal operator and explainer over the data set."""

    model: str
    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None
    direction: Direction
    summary: Summary
    parts: Mapping[str, Summary]
    curves: Mapping[str, Curve]


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
        target: class that is explained.
        top: the most probable classes, at most 5, most probable first.
    """

    model: str
    target: int
    top: tuple[ClassProbability, ...]


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
    """A picture of a map laid over the image, as a PNG file."""

    model: str
    explainer: Explainer
    png: bytes


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
    """

    image: str
    display_name: str
    label: int | None
    predictions: tuple[CleanPrediction, ...]
    scores: tuple[ImageScore, ...]
    overlays: tuple[Overlay, ...] = field(default=())
