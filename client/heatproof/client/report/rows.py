"""Scores and clean answers as rows of text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.results import Report, label_of
from heatproof.client.report.facts import image_count
from heatproof.client.report.numbers import ABSENT, ARROWS, ends, estimate, interval, number
from heatproof.v1.results_pb2 import (
    AveragePrecision,
    CleanPrediction,
    Disparity,
    GroupScore,
    ImageResult,
    MetricResult,
)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A score over the data set.

    Attributes:
        model: name of the model.
        metric: the metric with the parameters that tell it from its namesakes.
        removal: the removal operator; empty if there is none.
        explainer: the explainer; empty if there is none.
        arrow: what a good score is.
        score: the estimate, or a dash.
        interval: its interval, or a dash.
        scored: images with a score, of all.
        undefined: reasons of the others, with their counts.
    """

    model: str
    metric: str
    removal: str
    explainer: str
    arrow: str
    score: str
    interval: str
    scored: str
    undefined: str

    @property
    def subject(self) -> str:
        """Metric, explainer and removal operator in one line."""
        return " · ".join(part for part in (self.metric, self.explainer, self.removal) if part)


@dataclass(frozen=True, slots=True)
class DisparityRow:
    """The worst group of images against the best by one score.

    Attributes:
        model: name of the model.
        subject: metric, explainer and removal operator in one line.
        worst: name and score of the worst group, or a dash.
        best: those of the best.
        value: how much worse it is, or a dash.
        interval: its interval, or a dash.
        groups: groups that are compared, of all.
    """

    model: str
    subject: str
    worst: str
    best: str
    value: str
    interval: str
    groups: str

    @property
    def cells(self) -> tuple[str, ...]:
        """All columns, in the order of `DISPARITY_HEADS`."""
        scores = (self.worst, self.best, self.value, self.interval)
        return self.model, self.subject, *scores, self.groups


DISPARITY_HEADS: Final = (
    "model", "score", "worst group", "best group", "disparity", "interval", "groups"
)  # fmt: skip
"""What the columns of a table of disparities hold."""


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A model's answer to a clean image.

    Attributes:
        image: name of the image.
        model: name of the model.
        top: the most probable class.
        probability: its probability in per cent.
        label: the true class, or all that the image shows; empty if that is not known.
        right: whether the top class is the label or one of them; None without one.
    """

    image: str
    model: str
    top: str
    probability: str
    label: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class PrecisionRow:
    """How well each model tells the images of a class.

    Attributes:
        name: the class.
        images: images that show it.
        values: the average precision of each model, in their order, or a dash.
    """

    name: str
    images: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of classes by index.

    Attributes:
        names: the names; empty if they are not known.
    """

    names: Sequence[str] = ()

    def __getitem__(self, index: int) -> str:
        return self.names[index] if index < len(self.names) else f"class {index}"


def result_rows(report: Report, captions: Captions) -> list[ResultRow]:
    """The scores, in the order of the results."""
    images = image_count(report)
    return [_result_row(captions, result, images) for result in report.results]


def disparity_rows(report: Report, rows: Sequence[ResultRow]) -> list[DisparityRow]:
    """The groups of images that are compared; nothing where images have none."""
    return [
        _disparity_row(row, result.disparity)
        for row, result in zip(rows, report.results, strict=True)
        if result.HasField("disparity")
    ]


def clean_rows(report: Report, captions: Captions, classes: ClassNames) -> list[CleanRow]:
    """The clean answers: image by image, model by model."""
    return [
        _clean_row(captions, image, prediction, classes)
        for image in report.images
        for prediction in image.predictions
    ]


def precision_rows(report: Report, classes: ClassNames) -> list[PrecisionRow]:
    """The average precisions, those of the first model ascending."""
    held: dict[int, dict[str, AveragePrecision]] = {}
    for one in report.evaluation.average_precisions:
        held.setdefault(one.class_index, {})[one.model] = one
    names = [model.name for model in report.models]

    def worst_first(index: int) -> tuple[float, int]:
        first = held[index].get(names[0]) if names else None
        return (1.0 if first is None else first.value), index

    return [
        PrecisionRow(
            name=classes[index],
            images=max(one.images for one in held[index].values()),
            values=tuple(
                f"{held[index][name].value:.1%}" if name in held[index] else ABSENT
                for name in names
            ),
        )
        for index in sorted(held, key=worst_first)
    ]


def _result_row(captions: Captions, result: MetricResult, images: int) -> ResultRow:
    undefined = sorted(result.summary.undefined.items())
    return ResultRow(
        **captions.row(result),
        arrow=ARROWS.get(result.direction, ""),
        score=estimate(result.summary),
        interval=interval(result.summary),
        scored=f"{result.summary.scored}/{images}",
        undefined=", ".join(f"{reason} {count}" for reason, count in undefined),
    )


def _disparity_row(row: ResultRow, held: Disparity) -> DisparityRow:
    is_compared = held.HasField("value")
    total = held.groups + held.small_groups
    return DisparityRow(
        model=row.model,
        subject=row.subject,
        worst=_group(held.worst) if is_compared else ABSENT,
        best=_group(held.best) if is_compared else ABSENT,
        value=number(held.value) if is_compared else ABSENT,
        interval=ends(held.interval) if held.HasField("interval") else ABSENT,
        groups=f"{held.groups if is_compared else 0} of {total}",
    )


def _group(held: GroupScore) -> str:
    return f"{held.group}: {estimate(held.summary)} {interval(held.summary)}"


def label_text(image: ImageResult, classes: ClassNames) -> str:
    """The true class of an image, or all that it shows; empty if that is not known."""
    match label_of(image):
        case None:
            return ""
        case int() as index:
            return classes[index]
        case indices:
            return ", ".join(classes[index] for index in indices) or "none of the classes"


def _is_right(top: int, label: int | tuple[int, ...]) -> bool:
    return top == label if isinstance(label, int) else top in label


def _clean_row(
    captions: Captions, image: ImageResult, held: CleanPrediction, classes: ClassNames
) -> CleanRow:
    top = held.top[0] if held.top else None
    label = label_of(image)
    return CleanRow(
        image=image.display_name or short_digest(image.image),
        model=captions.model(held.model),
        top=classes[top.class_index] if top else ABSENT,
        probability=f"{top.probability:.1%}" if top else "",
        label=label_text(image, classes),
        right=None if label is None or top is None else _is_right(top.class_index, label),
    )
