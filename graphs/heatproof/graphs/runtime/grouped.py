"""Batches put together for one run, and its answers taken apart."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from heatproof.evaluators.images.arrays import Images
from heatproof.evaluators.images.compositions import Composition
from heatproof.evaluators.queries.predictor import Answers, Batch


def merged(batches: Sequence[Batch]) -> Batch:
    """All rows of batches of one pass, in their order; a single one is not copied."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        _rows(batches),
        _joined([batch.masks for batch in batches]),
        _joined([batch.output_gradients for batch in batches]),
        _joined([batch.gates for batch in batches]),
    )


def _rows(batches: Sequence[Batch]) -> Images | tuple[Composition, ...]:
    told = [batch.rows for batch in batches if isinstance(batch.rows, tuple)]
    return tuple(chain.from_iterable(told)) or np.concatenate([batch.images for batch in batches])


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    held = [part for part in parts if part is not None]
    return np.concatenate(held) if held else None


def taken_apart(answers: Answers, rows: Sequence[int]) -> list[Answers]:
    """The answers of each batch, given the rows of each."""
    if len(rows) == 1:
        return [answers]
    ends = np.cumsum(rows)
    return [_part(answers, slice(end - count, end)) for end, count in zip(ends, rows, strict=True)]


def _part(answers: Answers, rows: slice) -> Answers:
    return Answers(
        logits=answers.logits[rows],
        coverage=None if answers.coverage is None else answers.coverage[rows],
        activations=None if answers.activations is None else answers.activations[rows],
        gradients=None if answers.gradients is None else answers.gradients[rows],
        features={name: values[rows] for name, values in answers.features.items()},
    )


def have_equal_bits(one: Answers, other: Answers) -> bool:
    """Whether all that two answers hold is the same to the last bit."""
    return _bits(one) == _bits(other)


def _bits(answers: Answers) -> list[bytes]:
    own = (answers.logits, answers.coverage, answers.activations, answers.gradients)
    held = [part for part in (*own, *answers.features.values()) if part is not None]
    return [part.tobytes() for part in held]
