"""Scores as rows of tables, and results that came in parts."""

from collections.abc import Iterable, Sequence
from typing import Any

from heatproof.v1.results_pb2 import ImageResult, ImageScore, Score, Summary


def label_of(image: ImageResult) -> int | tuple[int, ...] | None:
    """The true class of an image, all classes that it shows, or None where neither is known."""
    if image.HasField("labels"):
        return tuple(image.labels.classes)
    return image.label if image.HasField("label") else None


def joined(parts: Iterable[ImageResult]) -> list[ImageResult]:
    """Puts the results of images together that came in several messages."""
    whole: list[ImageResult] = []
    for part in parts:
        if part.continuation and whole:
            whole[-1].scores.extend(part.scores)
            whole[-1].overlays.extend(part.overlays)
            whole[-1].input_pictures.extend(part.input_pictures)
        else:
            whole.append(part)
    return whole


def answer_row(image: ImageResult, model: str, names: Sequence[str]) -> dict[str, Any]:
    """A model's top class for the clean image, by its name where that is known."""
    held = next((one for one in image.predictions if one.model == model), None)
    if held is None or not held.top:
        return {"top_class": None, "probability": None}
    top = held.top[0]
    name = names[top.class_index] if top.class_index < len(names) else top.class_index
    return {"top_class": name, "probability": top.probability}


def score_row(score: ImageScore) -> dict[str, Any]:
    """Columns of an image's score."""
    parts = {name: _score(part) for name, part in sorted(score.parts.items())}
    return {"value": _score(score.score), "undefined": score.score.undefined.reason, **parts}


def summary_row(summary: Summary) -> dict[str, Any]:
    """Columns of a score over the data set."""
    has_error, has_ends = summary.HasField("standard_error"), summary.HasField("interval")
    return {
        "value": value_of(summary),
        "standard_error": summary.standard_error if has_error else None,
        "lower": summary.interval.lower if has_ends else None,
        "upper": summary.interval.upper if has_ends else None,
        "scored": summary.scored,
        "undefined": dict(summary.undefined),
    }


def _score(score: Score) -> float | None:
    return score.value if score.WhichOneof("outcome") == "value" else None


def value_of(summary: Summary) -> float | None:
    """The estimate, or None where nothing was scored."""
    return summary.value if summary.HasField("value") else None
