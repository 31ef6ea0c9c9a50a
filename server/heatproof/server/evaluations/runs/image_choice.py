"""Which images of a data set an evaluation is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from heatproof.evaluators.evaluation.results import Sampling
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.server.workers.inputs import StoredImage


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """The images of a data set that a spec evaluates.

    Attributes:
        positions: of the images in the data set, ascending.
        sampling: what intervals and tests will resample, and how much was left out.
    """

    positions: Sequence[int]
    sampling: Sampling

    @classmethod
    def of(cls, images: Iterable[StoredImage], spec: EvaluationSpec) -> Self:
        """All images, or those of the first units in their seeded order.

        A choice depends on the set, the seed and the number of units alone, so the server makes it
        anew wherever it is needed.
        """
        keys = [(image.digest, image.group) for image in images]
        whole = Sampling.of(_units(keys, spec.seed))
        if not 0 < spec.units < whole.units:
            return cls(range(len(keys)), whole)
        positions = _units(keys, spec.seed).first(spec.units)
        held = Sampling.of(_units([keys[place] for place in positions], spec.seed))
        return cls(positions, replace(held, units_left_out=whole.units - held.units))


def _units(keys: Sequence[tuple[str, str]], seed: int) -> Units:
    return Units.of([digest for digest, _ in keys], [group for _, group in keys], seed=seed)
