"""From the results of images to columns, one image after the other."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.evaluation.columns import (
    ABSENT,
    NOT_ASKED,
    NOT_FINITE,
    SCORED,
    Columns,
    CurveSum,
    ImageColumns,
    ResultColumns,
    ScoreColumn,
    code_of,
)
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import CleanPrediction, ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.outcomes import Curve, Score


def tabulated(
    spec: EvaluationSpec, results: Iterable[ImageResult], counted: Iterable[int] | None = None
) -> Columns:
    """Makes columns of results.

    Args:
        spec: what was asked.
        results: of the images, in their order; each is read once.
        counted: places of the images whose curves count; None: the first of equal ones.
    """
    tabulation = Tabulation(spec, counted)
    for result in results:
        tabulation.add(result)
    return tabulation.columns()


class Tabulation:
    """Columns of results that come one after the other; keeps no curve but the sums.

    Rows may be a stranger's: scores of results that the spec does not have are left out, and of
    several scores of one result the first counts.
    """

    def __init__(self, spec: EvaluationSpec, counted: Iterable[int] | None = None) -> None:
        chosen = None if counted is None else frozenset(counted)
        self._counts: Callable[[int, str], bool] = (
            self._is_first if chosen is None else lambda place, _: place in chosen
        )
        self._seen: set[str] = set()
        self._images: list[ImageResult] = []
        self._counted: list[bool] = []
        self._results = [_GrowingResult(key) for key in result_keys(spec)]

    def add(self, result: ImageResult) -> None:
        """Takes the result of the next image."""
        place = len(self._images)
        counts = self._counts(place, result.image)
        self._counted.append(counts)
        for index, score in {score.result: score for score in reversed(result.scores)}.items():
            if 0 <= index < len(self._results):
                self._results[index].add(place, score, counts=counts)
        self._images.append(
            ImageResult(
                image=result.image,
                display_name=result.display_name,
                label=result.label,
                predictions=result.predictions,
                scores=(),
                group=result.group,
                object_mask=result.object_mask,
                labels=result.labels,
            )
        )

    def columns(self) -> Columns:
        """The columns of what was added."""
        images = len(self._images)
        return Columns(
            image_columns(self._images, self._counted),
            {index: result.columns(images) for index, result in enumerate(self._results)},
        )

    def _is_first(self, _: int, digest: str) -> bool:
        is_first = digest not in self._seen
        self._seen.add(digest)
        return is_first


def image_columns(images: Sequence[ImageResult], counted: Sequence[bool]) -> ImageColumns:
    """What is known of images beside their scores."""
    models = dict.fromkeys(held.model for image in images for held in image.predictions)
    return ImageColumns(
        digests=tuple(image.image for image in images),
        display_names=tuple(image.display_name for image in images),
        labels=tuple(image.truth for image in images),
        groups=tuple(image.group for image in images),
        object_masks=tuple(image.object_mask for image in images),
        answers={
            model: np.array([_answer(model, image.predictions) for image in images], np.int64)
            for model in models
        },
        counted=np.array(counted, np.bool_),
        logits=_logits(images),
    )


def _logits(images: Sequence[ImageResult]) -> dict[str, Float32[np.ndarray, "images classes"]]:
    """The logits of each model that has some; rows may be a stranger's, of other lengths."""
    found: dict[str, np.ndarray] = {}
    for place, image in enumerate(images):
        for held in image.predictions:
            if not held.logits:
                continue
            shape = len(images), len(held.logits)
            rows = found.setdefault(held.model, np.full(shape, np.nan, np.float32))
            if rows.shape == shape:
                rows[place] = held.logits
    return found


def _answer(model: str, predictions: Sequence[CleanPrediction]) -> int:
    tops = [held.top for held in predictions if held.model == model]
    ranked = next((top for top in tops if top), None)
    if ranked is not None:
        return ranked[0].class_index
    return NOT_FINITE if tops else NOT_ASKED


@dataclass(slots=True)
class _GrowingScores:
    values: "array[float]" = field(default_factory=lambda: array("d"))
    codes: bytearray = field(default_factory=bytearray)

    def put(self, place: int, score: Score) -> None:
        self.grow_to(place)
        code = code_of(score)
        self.values.append(score if code == SCORED and isinstance(score, float | int) else nan)
        self.codes.append(code)

    def grow_to(self, images: int) -> "_GrowingScores":
        lacking = images - len(self.codes)
        self.values.extend([nan] * lacking)
        self.codes.extend([ABSENT] * lacking)
        return self

    def column(self, images: int) -> ScoreColumn:
        self.grow_to(images)
        return ScoreColumn(
            np.array(self.values, np.float64), np.frombuffer(bytes(self.codes), np.uint8)
        )


@dataclass(slots=True)
class _GrowingResult:
    key: ResultKey
    scores: dict[str, _GrowingScores] = field(default_factory=dict)
    curves: dict[str, CurveSum] = field(default_factory=dict)

    def add(self, place: int, score: ImageScore, *, counts: bool) -> None:
        named: Mapping[str, Score] = {"": score.score, **score.parts}
        for name, part in named.items():
            self.scores.setdefault(name, _GrowingScores()).put(place, part)
        if counts and all(_is_number(named.get(name)) for name in self._summed()):
            for name, curve in score.curves.items():
                self._add_curve(name, curve)

    def _summed(self) -> tuple[str, ...]:
        """Without one of these an image is in no sum of the score."""
        headline = self.key.metric.reductions(len(self.key.models))[""]
        return ("", *headline.parts)

    def _add_curve(self, name: str, curve: Curve) -> None:
        one = CurveSum(curve.fractions, np.array(curve.values, np.float64), 1)
        held = self.curves.get(name)
        self.curves[name] = one if held is None else held.plus(one)

    def columns(self, images: int) -> ResultColumns:
        scores = {name: held.column(images) for name, held in sorted(self.scores.items())}
        return ResultColumns(
            {"": ScoreColumn.absent(images), **scores}, dict(sorted(self.curves.items()))
        )


def _is_number(score: Score | None) -> bool:
    return isinstance(score, float | int) and isfinite(score)
