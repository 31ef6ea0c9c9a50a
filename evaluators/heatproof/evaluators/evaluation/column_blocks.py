"""Columns as bytes: how they are stored and handed from process to process.

A shard has a block for what is known of its images and one for every `RESULTS` results, so that a
summary holds the scores of a few results at a time, whatever the evaluation has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
import numpy as np

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.evaluation.columns import (
    ABSENT,
    FIRST_REASON,
    NOT_ASKED,
    REASONS,
    SCORED,
    Columns,
    CurveSum,
    ImageColumns,
    ResultColumns,
    ScoreColumn,
)
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.outcomes import Reason

VERSION: Final = 3
"""Raised by every change of the bytes."""

RESULTS: Final = 32
"""Results a block."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class _Versioned(msgspec.Struct, array_like=True):
    version: int


class _Images(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    digests: tuple[str, ...]
    display_names: tuple[str, ...]
    labels: tuple[int | LabelSet | None, ...]
    groups: tuple[str, ...]
    object_masks: tuple[str, ...]
    models: tuple[str, ...]
    answers: bytes  # little-endian int64 [models, images]
    counted: bytes  # bool [images]
    ranked: tuple[str, ...]  # the models of which there are logits
    logits: tuple[bytes, ...]  # of each, little-endian float32 [images, classes]


class _Curve(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    fractions: Count  # index among the block's
    count: Annotated[int, msgspec.Meta(ge=1)]
    sums: bytes  # little-endian float64 [points]


class _Scores(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    first: Count  # index of the first result
    images: Count
    names: tuple[tuple[str, ...], ...]  # of the columns of each result; the score is ""
    reasons: tuple[str, ...]  # what the codes from `FIRST_REASON` on stand for
    values: bytes  # little-endian float64 [columns, images]
    codes: bytes  # uint8 [columns, images]
    fractions: tuple[bytes, ...]  # little-endian float64 [points], each different
    curves: tuple[tuple[_Curve, ...], ...]  # of each result


T = TypeVar("T", bound=msgspec.Struct)

_ENCODER: Final = msgspec.msgpack.Encoder()
_VERSIONS: Final = msgspec.msgpack.Decoder(_Versioned)


def blocks_of(results: int) -> tuple[range, ...]:
    """Which results each block of scores holds; a shard has as many blocks and one of images."""
    return tuple(
        range(start, min(start + RESULTS, results)) for start in range(0, results, RESULTS)
    )


def written(columns: Columns) -> tuple[bytes, ...]:
    """The blocks of a shard: its images, then its results in their order."""
    images = len(columns.images)
    scores = (_scores(columns.results, span, images) for span in blocks_of(len(columns.results)))
    return (_ENCODER.encode(_image_form(columns.images)), *map(_ENCODER.encode, scores))


def read_images(blocks: Sequence[bytes]) -> ImageColumns:
    """Reads and joins the blocks of images of all shards, in their order.

    Raises:
        FailedPreconditionError: one has another version or is damaged.
    """
    return ImageColumns.joined([_image_columns(_decoded(data, _Images)) for data in blocks])


def read_results(blocks: Sequence[bytes], span: range) -> Mapping[int, ResultColumns]:
    """Reads and joins the blocks of some results of all shards, in their order.

    Args:
        blocks: one a shard.
        span: the results, as `blocks_of` tells.

    Raises:
        FailedPreconditionError: one has another version, other results or is damaged.
    """
    shards = [_decoded(data, _Scores) for data in blocks]
    if any((form.first, len(form.names)) != (span.start, len(span)) for form in shards):
        raise _damaged(f"they are not of the results {span.start} to {span.stop - 1}")
    read = [_result_columns(form) for form in shards]
    sizes = [form.images for form in shards]
    return {
        index: ResultColumns.joined([shard[place] for shard in read], sizes)
        for place, index in enumerate(span)
    }


def check(blocks: Sequence[bytes]) -> None:
    """Refuses the blocks of a shard that cannot be read.

    Raises:
        FailedPreconditionError: one has another version or is damaged.
    """
    first, *others = blocks
    images = len(_image_columns(_decoded(first, _Images)))
    for data in others:
        form = _decoded(data, _Scores)
        _result_columns(form)
        if form.images != images:
            raise _damaged(f"scores of {form.images} images and facts of {images}")


def _decoded(data: bytes, form: type[T]) -> T:
    try:
        version = _VERSIONS.decode(data).version
        if version == VERSION:
            return msgspec.msgpack.decode(data, type=form)
    except msgspec.MsgspecError as error:
        raise _damaged(str(error)) from error
    raise FailedPreconditionError(
        f"the columns of scores have version {version}, this release reads {VERSION}: start the "
        "release that wrote them, or evaluate again",
        metadata={"column_version": str(version)},
    )


def _damaged(what: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"the columns of scores are damaged ({what}): restore the database, or evaluate again"
    )


def _image_form(images: ImageColumns) -> _Images:
    answers = [tops.astype("<i8").tobytes() for tops in images.answers.values()]
    return _Images(
        version=VERSION,
        digests=images.digests,
        display_names=images.display_names,
        labels=images.labels,
        groups=images.groups,
        object_masks=images.object_masks,
        models=tuple(images.answers),
        answers=b"".join(answers),
        counted=images.counted.tobytes(),
        ranked=tuple(images.logits),
        logits=tuple(held.astype("<f4").tobytes() for held in images.logits.values()),
    )


def _image_columns(form: _Images) -> ImageColumns:
    images, models = len(form.digests), len(form.models)
    others = (form.display_names, form.labels, form.groups, form.object_masks, form.counted)
    if any(len(held) != images for held in others) or len(form.answers) != 8 * images * models:
        raise _damaged("columns of different lengths")
    answers = np.frombuffer(form.answers, "<i8").reshape(models, images).astype(np.int64)
    if (answers < NOT_ASKED).any():
        raise _damaged("an answer is no class")
    return ImageColumns(
        digests=form.digests,
        display_names=form.display_names,
        labels=form.labels,
        groups=form.groups,
        object_masks=form.object_masks,
        answers=dict(zip(form.models, answers, strict=True)),
        counted=np.frombuffer(form.counted, np.uint8) != 0,
        logits=_logits(form),
    )


def _logits(form: _Images) -> dict[str, np.ndarray]:
    images = len(form.digests)
    if len(form.ranked) != len(form.logits) or (form.ranked and not images):
        raise _damaged("columns of different lengths")
    if any(not data or len(data) % (4 * images) for data in form.logits):
        raise _damaged("logits are cut")
    return {
        model: np.frombuffer(data, "<f4").astype(np.float32).reshape(images, -1)
        for model, data in zip(form.ranked, form.logits, strict=True)
    }


def _scores(results: Mapping[int, ResultColumns], span: range, images: int) -> _Scores:
    held = [results[index] for index in span]
    columns = [column for result in held for column in result.scores.values()]
    fractions: dict[bytes, int] = {}
    return _Scores(
        version=VERSION,
        first=span.start,
        images=images,
        names=tuple(tuple(result.scores) for result in held),
        reasons=tuple(map(str, REASONS)),
        values=b"".join(column.values.astype("<f8").tobytes() for column in columns),
        codes=b"".join(column.codes.tobytes() for column in columns),
        curves=tuple(tuple(_curve_forms(result.curves, fractions)) for result in held),
        fractions=tuple(fractions),
    )


def _curve_forms(curves: Mapping[str, CurveSum], fractions: dict[bytes, int]) -> Iterator[_Curve]:
    for name, curve in curves.items():
        shared = np.array(curve.fractions, "<f8").tobytes()
        place = fractions.setdefault(shared, len(fractions))
        yield _Curve(name, place, curve.count, curve.sums.astype("<f8").tobytes())


def _result_columns(form: _Scores) -> list[ResultColumns]:
    columns = iter(_score_columns(form, sum(map(len, form.names))))
    fractions = [tuple(_numbers(held).tolist()) for held in form.fractions]
    if len(form.curves) != len(form.names):
        raise _damaged("columns of different lengths")
    return [
        ResultColumns(
            {name: next(columns) for name in names},
            {curve.name: _curve_sum(curve, fractions) for curve in curves},
        )
        for names, curves in zip(form.names, form.curves, strict=True)
    ]


def _score_columns(form: _Scores, columns: int) -> list[ScoreColumn]:
    cells = columns * form.images
    if len(form.codes) != cells or len(form.values) != 8 * cells:
        raise _damaged("columns of different lengths")
    codes = _own_codes(form.reasons, np.frombuffer(form.codes, np.uint8))
    values = np.where(codes == SCORED, _numbers(form.values), np.nan)
    if not np.isfinite(values[codes == SCORED]).all():
        raise _damaged("a score is not finite")
    shape = columns, form.images
    return list(map(ScoreColumn, values.reshape(shape), codes.reshape(shape)))


def _own_codes(reasons: Sequence[str], codes: np.ndarray) -> np.ndarray:
    """Codes of this release for those of the release that wrote a block."""
    unknown = [reason for reason in reasons if reason not in set(Reason)]
    if unknown:
        raise _damaged(f"no reason is called {unknown[0][:80]!r}")
    own = [REASONS.index(Reason(reason)) + FIRST_REASON for reason in reasons]
    table = np.array([SCORED, ABSENT, *own], np.uint8)
    if codes.size and codes.max() >= len(table):
        raise _damaged("a code stands for nothing")
    own_codes: np.ndarray = table[codes]
    return own_codes


def _curve_sum(form: _Curve, fractions: Sequence[tuple[float, ...]]) -> CurveSum:
    sums = _numbers(form.sums)
    if form.fractions >= len(fractions) or len(fractions[form.fractions]) != len(sums):
        raise _damaged("a curve of different lengths")
    return CurveSum(fractions[form.fractions], sums, form.count)


def _numbers(data: bytes) -> np.ndarray:
    if len(data) % 8:
        raise _damaged("numbers are cut")
    return np.frombuffer(data, "<f8").astype(np.float64)
