"""Focus: whether a map finds the tiles of its class in a mosaic of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Final

import cv2
import numpy as np

from heatproof.evaluators.errors import InternalError, InvalidArgumentError
from heatproof.evaluators.images.arrays import Image, Map, Mask
from heatproof.evaluators.images.labels import classes_of
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.objects import mass_share, positive_part
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, Procedure, predict
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import LabelledDonors, Reads, reads_deeply
from heatproof.evaluators.statistics.reductions import Mean, Reduction

Tile = tuple[slice, slice]

_OF_LABEL: Final = 2
"""Tiles of the label: the image and a donor; the other two are of other labels."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class Focus(Metric):
    """Takes the share of the positive attributions that lies on the tiles of the label in a mosaic.

    The mosaic of 2 x 2 tiles has the size of the model's input: the image, another one of its label
    and two of other labels, each shrunk by averaging over areas, in drawn places. Its map is that
    of the label, whatever the evaluation explains. `chance` is the tiles' share of the input. The
    draws depend on the seed and the set of images alone.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="focus",
        reference="Arias-Duart et al. 2022, arXiv 2109.15035",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.EXPLAINER, Reads.DONORS),
    )

    @property
    def labelled_donors(self) -> LabelledDonors:
        """Three other images by their labels."""
        return LabelledDonors(same=1, other=2)

    @property
    def reduction(self) -> Reduction:
        """The mean of the shares."""
        return Mean(UNIT)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Chance is a share of pixels."""
        return {"chance": Mean(UNIT)}

    def check(self, case: Case) -> None:
        """Refuses explainers that read boxes, and inputs that cannot be halved."""
        if reads_deeply(case.explainer, Reads.BOXES):
            raise InvalidArgumentError(
                f"focus explains mosaics, in which the boxes that {case.explainer.name} reads mean "
                "nothing: choose an explainer with other regions for it"
            )
        if min(case.model.height, case.model.width) < 2:
            raise InvalidArgumentError(
                f"focus halves images, and the input has {case.model.width} x {case.model.height} "
                "pixels: leave focus out"
            )

    def cost(self, case: Case) -> Cost:
        """The mosaic and its map."""
        return Cost(views=1, explanations=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`sum of A+ on the tiles of the label / sum of A+`."""
        sample = case.sample
        classes = classes_of(sample.label)
        if len(classes) != 1:
            raise InternalError("focus is asked of an image without one label")
        tiles = _tiles(sample)
        mosaic = _mosaic(sample, tiles)
        answer = yield from predict(sample.view(image=mosaic))
        if not np.isfinite(answer.logits).all():
            return Outcome(Undefined(Reason.NOT_FINITE, "the model's answer to the mosaic"))
        moved = replace(sample.moved(mosaic, answer), target=FixedClass(classes[0]), boxes=())
        made = yield from case.explain(moved)
        if isinstance(made, Undefined):
            return Outcome(made)
        return _outcome(made, _covered(sample, tiles[:_OF_LABEL]))


def _outcome(made: Map, own: Mask) -> Outcome:
    if not np.isfinite(made).all():
        return Outcome(Undefined(Reason.NOT_FINITE, "the map of the mosaic is not finite"))
    masses = positive_part(made)
    if isinstance(masses, Undefined):
        return Outcome(masses)
    return Outcome(mass_share(masses, own), {"chance": float(own.mean())})


def _tiles(sample: Sample) -> list[Tile]:
    """Where the image, the donor of its label and those of others lie."""
    rows, columns = (
        (slice(0, extent // 2), slice(extent // 2, extent))
        for extent in (sample.height, sample.width)
    )
    places = [(row, column) for row in rows for column in columns]
    return [places[place] for place in sample.rng("donor/places").permutation(len(places))]


def _covered(sample: Sample, tiles: Sequence[Tile]) -> Mask:
    covered = np.zeros((sample.height, sample.width), np.bool_)
    for tile in tiles:
        covered[tile] = True
    return covered


def _mosaic(sample: Sample, tiles: Sequence[Tile]) -> LazyImage:
    donors = (*sample.same_label_donors[:1], *sample.other_label_donors[:2])
    images = (sample.image, *(donor.image for donor in donors))
    placed = tuple(zip(images, tiles, strict=True))
    named = "/".join(f"{image.key}@{tile[0].start},{tile[1].start}" for image, tile in placed)
    return LazyImage(f"mosaic/{named}", partial(_drawn, (sample.height, sample.width), placed))


def _drawn(shape: tuple[int, int], placed: Sequence[tuple[LazyImage, Tile]]) -> Image:
    mosaic = np.empty((3, *shape), np.float32)
    for image, tile in placed:
        height, width = mosaic[0][tile].shape
        pixels = np.ascontiguousarray(image.draw().transpose(1, 2, 0))
        shrunk = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        mosaic[:, *tile] = shrunk.transpose(2, 0, 1)
    return np.clip(mosaic, 0, 1)
