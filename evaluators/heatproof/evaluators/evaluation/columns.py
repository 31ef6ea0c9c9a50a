"""The results of an evaluation as columns: one entry an image, and sums of curves.

Statistics read columns alone, so that no curve of any image is held again once its shard is done.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.labels import Label, LabelSet
from heatproof.evaluators.outcomes import Curve, Reason, Score, Undefined
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Rows
from heatproof.evaluators.statistics.reductions import Reduction

SCORED: Final = 0
ABSENT: Final = 1
"""The image was not scored by this result, or the result has no such part."""
FIRST_REASON: Final = 2
REASONS: Final = tuple(Reason)
"""Code `FIRST_REASON + i` stands for reason `i`."""

NOT_FINITE: Final = -1
"""Top class of an answer that is not finite."""
NOT_ASKED: Final = -2
"""Top class where a model was not asked."""

_CODES: Final = {reason: code for code, reason in enumerate(REASONS, FIRST_REASON)}

Places = Int64[np.ndarray, "places"]


def code_of(score: Score | None) -> int:
    """`SCORED`, `ABSENT`, or why there is no score."""
    if score is None:
        return ABSENT
    if isinstance(score, Undefined):
        return _CODES[score.reason]
    return SCORED if isfinite(score) else _CODES[Reason.NOT_FINITE]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreColumn:
    """One quantity, image by image.

    Attributes:
        values: finite where there is a score, else NaN.
        codes: see `code_of`.
    """

    values: Float64[np.ndarray, "images"]
    codes: UInt8[np.ndarray, "images"]

    @classmethod
    def of(cls, scores: Iterable[Score | None]) -> "ScoreColumn":
        """Makes a column of scores; None where there is neither a score nor a reason."""
        held = list(scores)
        codes = np.array([code_of(score) for score in held], np.uint8)
        values = [s if isinstance(s, float | int) else np.nan for s in held]
        return cls(np.where(codes == SCORED, np.array(values, np.float64), np.nan), codes)

    @classmethod
    def absent(cls, images: int) -> "ScoreColumn":
        """A column without any score."""
        return cls(np.full(images, np.nan), np.full(images, ABSENT, np.uint8))

    @classmethod
    def joined(cls, columns: Sequence["ScoreColumn"]) -> "ScoreColumn":
        """One column after the other."""
        return cls(
            np.concatenate([column.values for column in columns]),
            np.concatenate([column.codes for column in columns]),
        )

    def taken(self, places: Places) -> "ScoreColumn":
        """The entries of some images."""
        return ScoreColumn(self.values[places], self.codes[places])

    def explained_by(self, whole: "ScoreColumn") -> "ScoreColumn":
        """A part, which lacks what the whole lacks, and for the same reason."""
        unsaid = (self.codes == ABSENT) & (whole.codes >= FIRST_REASON)
        return ScoreColumn(self.values, np.where(unsaid, whole.codes, self.codes))

    def reasons(self, among: Bool[np.ndarray, "images"], left_out: Reason) -> dict[str, int]:
        """Why some images are in no sum, counted; what was not evaluated has no reason.

        Args:
            among: the images.
            left_out: why one with a score of its own is missing.
        """
        counts = Counter(self.codes[among].tolist())
        named = {
            REASONS[code - FIRST_REASON]: count
            for code, count in counts.items()
            if code not in {ABSENT, SCORED}
        }
        if counts[SCORED]:
            named[left_out] = named.get(left_out, 0) + counts[SCORED]
        return {str(reason): named[reason] for reason in sorted(named)}


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """One quantity over the images, such as a score or a part of it.

    Attributes:
        scores: one an image.
        contrast: what of them is summed.
        reduction: how they become one number.
    """

    scores: ScoreColumn
    contrast: ArmContrast
    reduction: Reduction

    @property
    def arm(self) -> Arm:
        """The first arm: the only one, but of a score over several models."""
        return self.contrast.arms[0]

    @classmethod
    def of(
        cls, scores: ScoreColumn, reduction: Reduction, parts: Mapping[str, ScoreColumn]
    ) -> "Quantity":
        """Prepares scores for their reduction; parts that are not there are absent."""
        absent = ScoreColumn.absent(len(scores.codes))
        columns = {name: parts.get(name, absent).values for name in reduction.parts}
        return cls(scores, reduction.contrast(scores.values, columns), reduction)

    def within(self, images: Rows) -> "Quantity":
        """The quantity over some of the images; those that it leaves out count as not asked."""
        left_out = self.contrast.scored & ~images
        scores = ScoreColumn(
            np.where(left_out, np.nan, self.scores.values),
            np.where(left_out, np.uint8(ABSENT), self.scores.codes),
        )
        return Quantity(scores, self.contrast.within(images), self.reduction)

    def is_estimable(self) -> bool:
        """Whether it is a number: something was scored, and no ratio divides by nothing."""
        if self.arm.count == 0 or not np.isfinite(self.contrast.estimate()):
            return False
        least = self.reduction.min_denominator
        return all(arm.denominators.sum() / arm.count > least for arm in self.contrast.arms)


@dataclass(frozen=True, slots=True, eq=False)
class CurveSum:
    """Curves of several images, added up in their order.

    Attributes:
        fractions: those of the first curve.
        sums: the values at these, summed.
        count: number of curves.
    """

    fractions: tuple[float, ...]
    sums: Float64[np.ndarray, "points"]
    count: int

    def plus(self, other: "CurveSum") -> "CurveSum":
        """Both sums in one.

        Raises:
            InternalError: the curves have different numbers of points.
        """
        if len(other.sums) != len(self.sums):
            raise InternalError(
                f"curves of {len(self.sums)} and of {len(other.sums)} points have no mean"
            )
        return CurveSum(self.fractions, self.sums + other.sums, self.count + other.count)

    def mean(self) -> Curve:
        """The mean curve."""
        return Curve(self.fractions, tuple((self.sums / self.count).tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class ResultColumns:
    """One result over the images.

    Attributes:
        scores: the score under "", and its parts under their names.
        curves: sums by name, over the images that are in the sums of the score and whose curves
            count (`ImageColumns.counted`).
    """

    scores: Mapping[str, ScoreColumn]
    curves: Mapping[str, CurveSum] = field(default_factory=dict)

    @classmethod
    def joined(cls, shards: Sequence["ResultColumns"], sizes: Sequence[int]) -> "ResultColumns":
        """The columns of shards, one after the other.

        Args:
            shards: in the order of the data set.
            sizes: images of each.
        """
        names = sorted({"", *(name for shard in shards for name in shard.scores)})
        columns = {name: _joined_scores(name, shards, sizes) for name in names}
        curves: dict[str, CurveSum] = {}
        for shard in shards:
            for name, summed in shard.curves.items():
                curves[name] = curves[name].plus(summed) if name in curves else summed
        return cls(columns, dict(sorted(curves.items())))

    def taken(self, places: Places) -> "ResultColumns":
        """The scores of some images, without parts that none of them has and without curves."""
        taken = {name: column.taken(places) for name, column in self.scores.items()}
        return ResultColumns(
            {name: c for name, c in taken.items() if not name or (c.codes != ABSENT).any()}
        )


def _joined_scores(name: str, shards: Sequence[ResultColumns], sizes: Sequence[int]) -> ScoreColumn:
    held = (
        shard.scores[name] if name in shard.scores else ScoreColumn.absent(size)
        for shard, size in zip(shards, sizes, strict=True)
    )
    return ScoreColumn.joined([ScoreColumn.absent(0), *held])


@dataclass(frozen=True, slots=True, eq=False)
class ImageColumns:
    """What is known of each image beside its scores.

    Attributes:
        digests: SHA-256 of its bytes.
        display_names: name to show.
        labels: true class, or set of all, None without one.
        groups: its group, "" for none.
        object_masks: SHA-256 of its object mask with the frame, its boxes or both; "" without.
        answers: its top class by each model; `NOT_FINITE`, `NOT_ASKED`.
        counted: whether its curves count: the first of equal images, or those that were chosen.
        logits: its logits by each model; NaN where there are none. Of models whose answers to no
            image with a set of classes are at hand there is no entry.
    """

    digests: tuple[str, ...]
    display_names: tuple[str, ...]
    labels: tuple[Label | None, ...]
    groups: tuple[str, ...]
    object_masks: tuple[str, ...]
    answers: Mapping[str, Int64[np.ndarray, "images"]]
    counted: Bool[np.ndarray, "images"]
    logits: Mapping[str, Float32[np.ndarray, "images classes"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.digests)

    @classmethod
    def joined(cls, shards: Sequence["ImageColumns"]) -> "ImageColumns":
        """The columns of shards, one after the other."""
        models = dict.fromkeys(model for shard in shards for model in shard.answers)
        return cls(
            digests=tuple(digest for shard in shards for digest in shard.digests),
            display_names=tuple(name for shard in shards for name in shard.display_names),
            labels=tuple(label for shard in shards for label in shard.labels),
            groups=tuple(group for shard in shards for group in shard.groups),
            object_masks=tuple(mask for shard in shards for mask in shard.object_masks),
            answers={
                model: np.concatenate([shard.answers_of(model) for shard in shards])
                for model in models
            },
            counted=np.concatenate([np.zeros(0, np.bool_), *(s.counted for s in shards)]),
            logits=_joined_logits(shards),
        )

    @property
    def are_multi_label(self) -> bool:
        """Whether labels are sets of classes."""
        return any(isinstance(label, LabelSet) for label in self.labels)

    def answers_of(self, model: str) -> Int64[np.ndarray, "images"]:
        """Top classes by a model that may not have been asked."""
        return self.answers.get(model, np.full(len(self), NOT_ASKED, np.int64))

    def taken(self, places: Places) -> "ImageColumns":
        """Some of the images."""
        chosen = places.tolist()
        return ImageColumns(
            digests=tuple(self.digests[place] for place in chosen),
            display_names=tuple(self.display_names[place] for place in chosen),
            labels=tuple(self.labels[place] for place in chosen),
            groups=tuple(self.groups[place] for place in chosen),
            object_masks=tuple(self.object_masks[place] for place in chosen),
            answers={model: tops[places] for model, tops in self.answers.items()},
            counted=self.counted[places],
            logits={model: held[places] for model, held in self.logits.items()},
        )

    def first_places(self) -> dict[str, int]:
        """Where each digest comes first, in the order of the images."""
        first: dict[str, int] = {}
        for place, digest in enumerate(self.digests):
            first.setdefault(digest, place)
        return first


def _joined_logits(
    shards: Sequence[ImageColumns],
) -> dict[str, Float32[np.ndarray, "images classes"]]:
    widths = {model: held.shape[1] for shard in shards for model, held in shard.logits.items()}
    return {
        model: np.concatenate(
            [
                shard.logits.get(model, np.full((len(shard), width), np.nan, np.float32))
                for shard in shards
            ]
        )
        for model, width in widths.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Results of images, those of one shard or of the whole data set.

    Attributes:
        images: the images.
        results: by the index among the evaluation's results; all of them, or those at hand.
    """

    images: ImageColumns
    results: Mapping[int, ResultColumns]
