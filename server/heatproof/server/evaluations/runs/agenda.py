"""In which shards the images of an evaluation are computed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from heatproof.evaluators.evaluation.engine import shards
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.server.workers.inputs import StoredImage

_LEAST: Final = 8
"""Images of the first shards of a sequential evaluation: few are computed beyond the decision, at
the price of the part-filled batches that each shard ends with."""

_MOST: Final = 32
"""Images of its later shards, and most of any."""

_SHARE: Final = 8
"""A shard has this part of the images before it, between the two."""

_SPACING: Final = 64
"""A look comes once this part of the images is new. Each takes as long as there are images, so all
of them together take as long as the images do, however many there are."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Images that are computed and stored together.

    Attributes:
        number: which shard it is, from 0.
        positions: places of its images in the data set, ascending.
        units: in a sequential evaluation the units of sampling that are complete with it; None
            where it ends within one, or nobody looks.
    """

    number: int
    positions: Sequence[int]
    units: int | None = None


def in_order(positions: Sequence[int]) -> tuple[Shard, ...]:
    """The shards of an evaluation of these images, in their order."""
    cuts = enumerate(shards(len(positions)))
    return tuple(Shard(number, positions[cut.start : cut.stop]) for number, cut in cuts)


def by_units(
    images: Sequence[StoredImage], positions: Sequence[int], *, seed: int
) -> tuple[Shard, ...]:
    """The shards of a sequential evaluation: whole units of sampling, in their seeded order.

    Copies of an image belong to its unit. One of more than 32 images is cut, and nobody looks
    before its end. Of more than 2,048 images not every shard is followed by a look.

    Args:
        images: of the data set, in its order.
        positions: of those that are evaluated.
        seed: of the order.
    """
    found: list[Shard] = []
    taken, looked, pending = 0, 0, list[int]()
    units = _positions_of_units(images, positions, seed)
    for number, unit in enumerate(units, 1):
        pending += unit
        while len(pending) > _MOST:
            found.append(Shard(len(found), tuple(sorted(pending[:_MOST]))))
            taken, pending = taken + _MOST, pending[_MOST:]
        is_last = number == len(units)
        if len(pending) >= min(_MOST, max(_LEAST, taken // _SHARE)) or is_last:
            taken += len(pending)
            is_seen = is_last or (taken - looked) * _SPACING >= taken
            looked = taken if is_seen else looked
            found.append(Shard(len(found), tuple(sorted(pending)), number if is_seen else None))
            pending = []
    return tuple(found)


def _positions_of_units(
    images: Sequence[StoredImage], positions: Sequence[int], seed: int
) -> list[list[int]]:
    """Positions of the images of each unit, in the order of the units."""
    digests = [images[position].digest for position in positions]
    units = Units.of(digests, [images[position].group for position in positions], seed=seed)
    unit_of = {
        digests[place]: unit
        for place, unit in zip(units.images.tolist(), units.unit.tolist(), strict=True)
    }
    first = {digest: place for place, digest in reversed(list(enumerate(digests)))}

    def rank(place: int) -> tuple[int, int, int]:
        digest = digests[place]
        return unit_of[digest], first[digest], place

    ordered = sorted(range(len(digests)), key=rank)
    grouped = groupby(ordered, lambda place: unit_of[digests[place]])
    return [[positions[place] for place in places] for _, places in grouped]


def missing(agenda: Iterable[Shard], finished: frozenset[int]) -> Iterator[Shard]:
    """The shards that are not stored yet."""
    return (shard for shard in agenda if shard.number not in finished)
