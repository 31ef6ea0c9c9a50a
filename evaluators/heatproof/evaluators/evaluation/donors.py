"""Which other images of a data set an image is handed."""

from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from itertools import chain

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.registry.registry import Reads, Registered, parts_of


def donors_read(things: Iterable[Registered]) -> int:
    """How many other images each image is handed for metrics, explainers and operators."""
    parts = chain.from_iterable(map(parts_of, things))
    return max((part.donors for part in parts if Reads.DONORS in part.reads), default=0)


def donors_of_spec(spec: EvaluationSpec) -> int:
    """How many other images each image of an evaluation is handed."""
    return donors_read((*spec.metrics, *spec.explainers, *spec.removals))


class DonorDraw:
    """Draws other images by their digests: it depends on seed and set, not on the set's order.

    All models, metrics, explainers and removal operators meet the same ones. Images of equal bytes
    are one.
    """

    def __init__(self, digests: Iterable[str], seed: int) -> None:
        self._digests = sorted(set(digests))
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

    def partner(self, digest: str) -> str | None:
        """The other one of its pair: the set shuffled, two by two; None for the one left over."""
        return self._partners.get(digest)

    @cached_property
    def _partners(self) -> dict[str, str]:
        order = generator(self._seed, "", "pairs").permutation(len(self._digests))
        shuffled = [self._digests[place] for place in order]
        ahead = dict(zip(shuffled[::2], shuffled[1::2], strict=False))
        return ahead | {second: first for first, second in ahead.items()}
