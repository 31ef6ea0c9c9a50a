"""Hands the images of a task the other images of their set that it reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from heatproof.evaluators.evaluation.donors import DonorDraw
from heatproof.server.workers.inputs import StoredDonor, StoredImage


@dataclass(frozen=True, slots=True, eq=False)
class DonorPool:
    """The images of a set by their digests.

    Attributes:
        draw: which image is handed which others.
        pixels: what there is to hand over.
        count: how many others an image is handed; 0 if nobody reads them.
    """

    draw: DonorDraw
    pixels: dict[str, StoredDonor]
    count: int

    @classmethod
    def of(cls, images: Iterable[StoredImage], seed: int, count: int) -> "DonorPool":
        """Takes a set in; with a count of 0 its images are not even looked at."""
        found = tuple(images) if count else ()
        pixels = {image.digest: StoredDonor(image.digest, image.pixels) for image in found}
        groups = {image.digest: image.group for image in found}
        return cls(DonorDraw(groups, seed), pixels, count)

    def supplied(self, images: Sequence[StoredImage]) -> tuple[StoredImage, ...]:
        """The images, each with the others that it is handed."""
        return tuple(map(self._supplied, images)) if self.count else tuple(images)

    def _supplied(self, image: StoredImage) -> StoredImage:
        drawn = self.draw.donors(image.digest, self.count)
        paired = self.draw.pairing(image.digest)
        return replace(
            image,
            donors=tuple(self.pixels[digest] for digest in drawn),
            partner=None if paired is None else self.pixels[paired.partner],
            leads_pair=paired is not None and paired.leads,
        )
