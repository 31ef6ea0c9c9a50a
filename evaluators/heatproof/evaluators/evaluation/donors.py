"""Which other images of a data set an image is handed."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.registry.registry import Reads, Registered, parts_of

T = TypeVar("T")


def donors_read(things: Iterable[Registered]) -> int:
    """How many other images each image is handed for metrics, explainers and operators."""
    parts = chain.from_iterable(map(parts_of, things))
    return max((part.donors for part in parts if Reads.DONORS in part.reads), default=0)


def donors_of_spec(spec: EvaluationSpec) -> int:
    """How many other images each image of an evaluation is handed."""
    return donors_read((*spec.metrics, *spec.explainers, *spec.removals))


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
    """

    def __init__(self, groups: Mapping[str, str], seed: int) -> None:
        self._digests = sorted(groups)
        self._groups = groups
        self._seed = seed

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
