"""Concordance: whether images stay as alike as they are when they are made small."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.frames import image_to_input
from heatproof.evaluators.images.preprocessing import Filter, Preprocessing, Resize
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.features import (
    FeaturesMetric,
    check_features,
    feature_cosine,
    features_tensor,
    look,
    pooled,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, Prediction, Procedure
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_FULL: Final = 224
_CHANGE: Final = Range(0, 2)


@METRICS.register
@dataclass(frozen=True, slots=True)
class Concordance(FeaturesMetric):
    """Asks how much the likeness of two images changes when both are made small.

    `|cos(f_i, f_j) at a size - cos(f_i, f_j) at full size|`, averaged over the sizes. At a size
    both images are shrunk and pasted into the top left corner, and the rest is hidden; before that
    it holds the mean colour of what was pasted, so that an operator that reads what it hides finds
    no more than that (ours). The pair is the unit: one of its images carries the score. Both meet
    the same draws of the operator. A property of model and operator.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="concordance",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        category=MetricCategory.MASKING,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.REMOVAL, Reads.DONORS),
    )

    sizes: tuple[int, ...] = parameter(
        (200, 128, 64, 32), "Sides of the small images, of 224 of the input's.",
        within=Range(1, _FULL - 1),
    )  # fmt: skip

    @property
    def reduction(self) -> Reduction:
        """The mean over the pairs."""
        return Mean(_CHANGE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The change at each size."""
        return {_part(size): Mean(_CHANGE) for size in self.sizes}

    def check(self, case: Case) -> None:
        """Refuses sizes twice or under a pixel, and tensors that the model lacks."""
        model = case.model
        if len(set(self.sizes)) < len(self.sizes):
            raise InvalidArgumentError(
                f"sizes names one twice: {list(self.sizes)}; name each once", field="sizes"
            )
        for index, size in enumerate(self.sizes):
            if min(_scaled(size, model.height, model.width)) < 1:
                raise InvalidArgumentError(
                    f"sizes[{index}] is {size} of {_FULL}, under a pixel of the input of "
                    f"{model.width} x {model.height}: choose a larger one",
                    field=f"sizes[{index}]",
                )
        check_features(self.tensor, model)

    def cost(self, case: Case) -> Cost:
        """Both images, in full and at every size."""
        return Cost(views=2 * (1 + len(self.sizes)))

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean over sizes of |cos(f_i, f_j) at the size - cos(f_i, f_j)|`."""
        if case.partner is None:
            return Outcome(Undefined(Reason.UNPAIRED, "no image is left to pair it with"))
        if not case.leads_pair:
            detail = f"the score of the pair is that of the image {case.partner.digest[:12]}"
            return Outcome(Undefined(Reason.PAIRED, detail))
        tensor = features_tensor(self.tensor, case.model)
        answers = yield from look(self._views(case), tensor)
        likenesses = [
            _likeness(pair, tensor) for pair in zip(answers[::2], answers[1::2], strict=True)
        ]
        return self._outcome(likenesses[0], likenesses[1:])

    def _views(self, case: Case) -> Iterator[MaskedView]:
        """Both images in full, then both at each size."""
        sample, partner = case.sample, case.partner
        images = (sample.image, *(() if partner is None else (partner.image,)))
        for image in images:
            yield sample.view(image=image)
        for size in self.sizes:
            height, width = _scaled(size, sample.height, sample.width)
            visible = np.zeros((sample.height, sample.width), np.bool_)
            visible[:height, :width] = True
            for image in images:
                yield sample.view(visible, case.removal, image=_shrunk(image, height, width))

    def _outcome(self, full: Score, small: list[Score]) -> Outcome:
        if isinstance(full, Undefined):
            return Outcome(full)
        changes = {
            _part(size): found if isinstance(found, Undefined) else abs(found - full)
            for size, found in zip(self.sizes, small, strict=True)
        }
        numbers = [found for found in changes.values() if not isinstance(found, Undefined)]
        for name, found in changes.items():
            if isinstance(found, Undefined):
                detail = f"{name}: {found.detail}; leave sizes out at which that is so"
                return Outcome(Undefined(found.reason, detail), changes)
        return Outcome(float(np.mean(numbers)), changes)


def _part(size: int) -> str:
    return f"change_at_{size}_of_{_FULL}"


def _scaled(size: int, height: int, width: int) -> tuple[int, int]:
    return round(height * size / _FULL), round(width * size / _FULL)


def _likeness(pair: tuple[Prediction, Prediction], tensor: str) -> Score:
    """The cosine of the features of two images."""
    first, second = (pooled(answer, tensor) for answer in pair)
    if not np.isfinite([first, second]).all():
        return np.nan
    if any(answer.coverage == 0 for answer in pair):
        return Undefined(Reason.ZERO_COVERAGE, "the image vanishes inside the network")
    return feature_cosine(
        first, second, Undefined(Reason.DEGENERATE, "all features of an image are 0")
    )


def _shrunk(image: LazyImage, height: int, width: int) -> LazyImage:
    """A canvas of the mean colour of the small image, which lies in its top left corner."""

    def draw() -> Image:
        full = image.draw()
        shrinking = Preprocessing(
            resize=Resize.STRETCH, filter=Filter.BILINEAR, height=height, width=width
        )
        small = image_to_input(np.ascontiguousarray(full.transpose(1, 2, 0)), shrinking)
        mean = small.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        canvas = np.empty_like(full)
        canvas[...] = mean[:, None, None]
        canvas[:, :height, :width] = small
        return canvas

    return LazyImage(f"{image.key}/corner/{height}x{width}", draw)
