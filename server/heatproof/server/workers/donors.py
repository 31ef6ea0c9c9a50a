"""Hands the images of a task the other images of their set that it reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from heatproof.evaluators.evaluation.donors import (
    DonorDraw,
    donors_read,
    labelled_donors_read,
)
from heatproof.evaluators.images.labels import classes_of
from heatproof.evaluators.registry.registry import LabelledDonors, Registered
from heatproof.server.workers.inputs import StoredDonor, StoredImage


@dataclass(frozen=True, slots=True, eq=False)
class DonorPool:
    """The images of a set by their digests.

    Attributes:
        draw: which image is handed which others.
        pixels: what there is to hand over.
        count: how many others an image is handed; 0 if nobody reads them.
        labelled: how many more by their labels.
    """

    draw: DonorDraw
    pixels: dict[str, StoredDonor]
    count: int
    labelled: LabelledDonors

    @classmethod
    def of(cls, images: Iterable[StoredImage], seed: int, things: Iterable[Registered]) -> Self:
        """Takes a set in; if no thing reads other images, they are not even looked at."""
        read = tuple(things)
        count, labelled = donors_read(read), labelled_donors_read(read)
        found = tuple(images) if count else ()
        pixels = {
            image.digest: StoredDonor(image.digest, image.display_name, image.pixels)
            for image in found
        }
        groups = {image.digest: image.group for image in found}
        draw = DonorDraw(groups, seed, _labels(found) if labelled else {})
        return cls(draw, pixels, count, labelled)

    def supplied(self, images: Sequence[StoredImage]) -> tuple[StoredImage, ...]:
        """The images, each with the others that it is handed."""
        return tuple(map(self._supplied, images)) if self.count else tuple(images)

    def _supplied(self, image: StoredImage) -> StoredImage:
        draw, digest = self.draw, image.digest
        paired = draw.pairing(digest)
        return replace(
            image,
            donors=self._stored(draw.donors(digest, self.count)),
            same_label_donors=self._stored(draw.of_same_label(digest, self.labelled.same)),
            other_label_donors=self._stored(draw.of_other_labels(digest, self.labelled.other)),
            partner=None if paired is None else self.pixels[paired.partner],
            leads_pair=paired is not None and paired.leads,
        )

    def _stored(self, digests: Iterable[str]) -> tuple[StoredDonor, ...]:
        return tuple(self.pixels[digest] for digest in digests)


def _labels(images: Iterable[StoredImage]) -> dict[str, int]:
    """The label of each image by its digest; with several, or of copies, it has none."""
    found: dict[str, set[int]] = {}
    for image in images:
        if image.label is not None:
            found.setdefault(image.digest, set()).update(classes_of(image.label))
    return {digest: labels.pop() for digest, labels in found.items() if len(labels) == 1}
