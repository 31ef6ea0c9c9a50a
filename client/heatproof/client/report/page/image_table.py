"""The images of a page as a table, the worst first."""

from __future__ import annotations  # `Direction.ValueType` exists for type checkers only

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from heatproof.client.documents.results.ranking import image_badness
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import ABSENT, number
from heatproof.client.report.page.gallery import image_name
from heatproof.client.report.rows import CleanRow
from heatproof.v1.results_pb2 import Direction, ImageResult, ImageScore

ROWS: Final = 1000
"""Images that a table lists; the JSON report holds all."""

SCORES: Final = 12
"""Columns of scores that a table has; the JSON report holds all."""


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """A column of scores.

    Attributes:
        metric: what is scored.
        details: of which maps and operator, and of which model where there are several.
        arrow: what a good score is.
        worst: the order that has the worst image first, `ascending` or `descending`.
        leads: whether the rows are in this order.
    """

    metric: str
    details: str
    arrow: str
    worst: str
    leads: bool


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """A score of an image.

    Attributes:
        text: the score, or a dash.
        key: what it is sorted by: the score, or its magnitude where closer to zero is better;
            empty without one.
        reason: why there is none; empty otherwise.
    """

    text: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image.

    Attributes:
        name: its name.
        image: its digest.
        group: group of the image; empty for none.
        label: its true class, or all that it shows; empty if that is not known.
        answers: what each model says of it.
        scores: a cell a column.
    """

    name: str
    image: str
    group: str
    label: str
    answers: tuple[CleanRow, ...]
    scores: tuple[ScoreCell, ...]

    @property
    def standing(self) -> str:
        """`wrong` if any answer is, `right` if all are, `unknown` without a label."""
        known = [answer.right for answer in self.answers if answer.right is not None]
        return "unknown" if not known else "right" if all(known) else "wrong"


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Images, the worst first.

    Attributes:
        lead: the score that orders them; empty where no score is of single images.
        models: whose answers are shown.
        columns: the scores that are shown.
        rows: the images.
        images: how many images the report has.
        left_out: scores that have no column.
        order: the images in the order of the page.
    """

    lead: str
    models: tuple[str, ...]
    columns: tuple[ScoreColumn, ...]
    rows: tuple[ImageRow, ...]
    images: int
    left_out: int
    order: tuple[ImageResult, ...]

    @property
    def has_labels(self) -> bool:
        """Whether any image has one."""
        return any(row.label for row in self.rows)

    @property
    def has_groups(self) -> bool:
        """Whether any image is of one."""
        return any(row.group for row in self.rows)


def image_table(
    content: Content, lead: int | None = None, hidden: Collection[str] = ()
) -> ImageTable:
    """Puts the images of a report in order.

    Args:
        content: the report.
        lead: index of the result that orders them; None: the first that scores single images.
        hidden: captions of explainers whose scores are not shown.
    """
    report = content.report
    scored = [held.result for held in report.images[0].scores] if report.images else []
    results = [at for at in scored if content.results[at].explainer not in hidden] or scored
    lead = lead if lead in results else results[0] if results else None
    # The score that orders the images is always among the columns.
    shown: list[int] = sorted({*results[:SCORES], *([] if lead is None else [lead])})
    directions = [result.direction for result in report.results]
    places = sorted(
        range(len(report.images)),
        key=lambda at: image_badness(report.images[at], directions, lead),
        reverse=True,
    )
    answers = _by_image(report.images, content.clean)
    return ImageTable(
        lead="" if lead is None else _title(content, lead),
        models=tuple(content.captions.model(model.name) for model in report.models),
        columns=tuple(_column(content, at, lead) for at in shown),
        rows=tuple(_row(report.images[at], answers[at], shown, directions) for at in places[:ROWS]),
        images=len(report.images),
        left_out=len(results) - len(shown),
        order=tuple(report.images[at] for at in places),
    )


def _by_image(
    images: Sequence[ImageResult], clean: Iterable[CleanRow]
) -> list[tuple[CleanRow, ...]]:
    """The answers of each image, which come image by image."""
    rows = iter(clean)
    return [tuple(islice(rows, len(image.predictions))) for image in images]


def _title(content: Content, result: int) -> str:
    row = content.results[result]
    return f"{row.model} · {row.subject}" if content.several_models else row.subject


def _column(content: Content, result: int, lead: int | None) -> ScoreColumn:
    is_low_worst = content.report.results[result].direction == Direction.DIRECTION_HIGHER_IS_BETTER
    row = content.results[result]
    details = (row.explainer, row.removal, row.model if content.several_models else "")
    return ScoreColumn(
        metric=row.metric,
        details=" · ".join(filter(None, details)),
        arrow=row.arrow,
        worst="ascending" if is_low_worst else "descending",
        leads=result == lead,
    )


def _row(
    image: ImageResult,
    answers: tuple[CleanRow, ...],
    shown: Iterable[int],
    directions: Sequence[Direction.ValueType],
) -> ImageRow:
    scores = {held.result: held for held in image.scores}
    return ImageRow(
        name=image_name(image),
        image=image.image,
        group=image.group,
        label=answers[0].label if answers else "",
        answers=answers,
        scores=tuple(_cell(scores.get(at), directions[at]) for at in shown),
    )


def _cell(held: ImageScore | None, direction: Direction.ValueType) -> ScoreCell:
    if held is None:
        return ScoreCell(ABSENT, "", "")
    if held.score.WhichOneof("outcome") == "value":
        value = held.score.value
        key = abs(value) if direction == Direction.DIRECTION_CLOSER_TO_ZERO else value
        return ScoreCell(number(value), f"{key:.9g}", "")
    return ScoreCell(ABSENT, "", held.score.undefined.reason)
