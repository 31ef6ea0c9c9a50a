"""Which other images of a data set an image is handed."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import Final, TypeVar

import numpy as np

from heatproof.evaluators.evaluation.columns import Places
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.frames import image_to_input
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import DonorImage, SourceImage
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.registry.registry import LabelledDonors, Reads, Registered, parts_of
from heatproof.evaluators.removal.operator import RemovalOperator

T = TypeVar("T")

_DRAWN_DONORS: Final = 8
"""Of an image, whose pixels are held at a time: an explainer may read hundreds."""


def donors_read(things: Iterable[Registered]) -> int:
    """How many other images each image is handed for metrics, explainers and operators.

    A removal operator that shows another image shows a further one in each draw of a metric.
    """
    known = list(things)
    readers = list(_readers(known))
    read = max((part.donors for part in readers), default=0)
    drawn = (part.removal_draws for thing in known for part in parts_of(thing))
    shows = any(isinstance(part, RemovalOperator) for part in readers)
    return max(read, *drawn) if shows else read


def labelled_donors_read(things: Iterable[Registered]) -> LabelledDonors:
    """How many others each image is handed by their labels."""
    wanted = [part.labelled_donors for part in _readers(things)]
    return LabelledDonors(
        max((one.same for one in wanted), default=0), max((one.other for one in wanted), default=0)
    )


def _readers(things: Iterable[Registered]) -> Iterator[Registered]:
    parts = chain.from_iterable(map(parts_of, things))
    return (part for part in parts if Reads.DONORS in part.reads)


@dataclass(frozen=True, slots=True)
class Pairing:
    """One image of a pair.

    Attributes:
        partner: digest of the other one.
        leads: whether this one carries what is scored of the pair.
    """

    partner: str
    leads: bool


class DonorDraw:
    """Draws other images by their digests: it depends on seed and set, not on the set's order.

    All models, metrics, explainers and removal operators meet the same ones. Images of equal bytes
    are one.

    Args:
        groups: the group of each image by its digest; "" for an image that is its own.
        seed: of the draws.
        labels: the true class of each image by its digest, as far as it has one alone.
    """

    def __init__(
        self, groups: Mapping[str, str], seed: int, labels: Mapping[str, int] | None = None
    ) -> None:
        self._digests = sorted(groups)
        self._groups = groups
        self._seed = seed
        self._labels = labels or {}

    def donors(self, digest: str, count: int) -> tuple[str, ...]:
        """Draws other images with replacement; draw k does not depend on the count."""
        others = len(self._digests) - 1
        if others < 1:
            return ()
        own = bisect_left(self._digests, digest)
        draws = (
            int(generator(self._seed, digest, f"donor/{index}").integers(others))
            for index in range(count)
        )
        return tuple(self._digests[draw + (draw >= own)] for draw in draws)

    def of_same_label(self, digest: str, count: int) -> tuple[str, ...]:
        """Draws other images of the image's label, all different; fewer if there are not as many.

        Draw k does not depend on the count.
        """
        if digest not in self._labels:
            return ()
        alike = self._places_by_label[self._labels[digest]]
        own = bisect_left(self._labelled, digest)
        others = alike[alike != own]
        drawn = self._places(digest, "same_label", count, len(others), np.zeros(0, np.int64))
        return tuple(self._labelled[others[place]] for place in drawn)

    def of_other_labels(self, digest: str, count: int) -> tuple[str, ...]:
        """The same of images of other labels."""
        if digest not in self._labels:
            return ()
        alike = self._places_by_label[self._labels[digest]]
        drawn = self._places(digest, "other_label", count, len(self._labelled), alike)
        return tuple(self._labelled[place] for place in drawn)

    def _places(
        self, digest: str, purpose: str, count: int, things: int, excluded: Places
    ) -> Iterator[int]:
        """Draws of so many things some that are neither excluded, which is sorted, nor drawn."""
        for index in range(min(count, things - len(excluded))):
            rng = generator(self._seed, digest, f"donor/{purpose}/{index}")
            place = int(rng.integers(things - len(excluded)))
            place += int(np.searchsorted(excluded - np.arange(len(excluded)), place, side="right"))
            excluded = np.insert(excluded, np.searchsorted(excluded, place), place)
            yield place

    @cached_property
    def _labelled(self) -> list[str]:
        return [digest for digest in self._digests if digest in self._labels]

    @cached_property
    def _places_by_label(self) -> dict[int, Places]:
        """Places in `_labelled`, ascending."""
        labels = np.array([self._labels[digest] for digest in self._labelled], np.int64)
        order = np.argsort(labels, kind="stable")
        known, starts = np.unique(labels[order], return_index=True)
        return dict(zip(known.tolist(), np.split(order, starts[1:]), strict=True))

    def pairing(self, digest: str) -> Pairing | None:
        """The disjoint pair that an image is of; None for one that is left over.

        The set is shuffled and paired two by two. Where images have groups, whole groups are, and
        inside of two groups the images: pairs of different groups have no group in common, and
        those that share their groups are led by images of one, so that groups stay the units of
        sampling.
        """
        return self._pairings.get(digest)

    @cached_property
    def _pairings(self) -> dict[str, Pairing]:
        members: dict[tuple[str, str], list[str]] = {}
        for digest in self._digests:
            group = self._groups[digest]
            members.setdefault(("group", group) if group else ("image", digest), []).append(digest)
        names = self._shuffled(sorted(members), "pairs")
        pairings: dict[str, Pairing] = {}
        for ahead, behind in zip(names[::2], names[1::2], strict=False):
            leading, led = (self._shuffled(members[n], f"pairs/{n[1]}") for n in (ahead, behind))
            for first, second in zip(leading, led, strict=False):
                pairings[first] = Pairing(second, leads=True)
                pairings[second] = Pairing(first, leads=False)
        return pairings

    def _shuffled(self, things: Sequence[T], purpose: str) -> list[T]:
        order = generator(self._seed, "", purpose).permutation(len(things))
        return [things[place] for place in order]


def donations(donors: Sequence[DonorImage], preprocessing: Preprocessing) -> tuple[Donation, ...]:
    """Other images, decoded when they are drawn; those drawn lately are kept."""

    @lru_cache(_DRAWN_DONORS)
    def draw(place: int) -> Image:
        return image_to_input(donors[place].read(), preprocessing)

    return tuple(
        Donation(donor.digest, LazyImage(f"donor/{donor.digest}", partial(draw, place)))
        for place, donor in enumerate(donors)
    )


def partner_of(image: SourceImage, preprocessing: Preprocessing) -> Donation | None:
    """The other image of its pair; None for one that is left over."""
    if image.partner is None:
        return None
    (partner,) = donations((image.partner,), preprocessing)
    return partner
