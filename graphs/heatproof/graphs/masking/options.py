"""Choices that the definition of layer masking leaves open."""

from dataclasses import dataclass
from enum import StrEnum

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.removal.operator import Fill as Fill
from heatproof.evaluators.removal.operator import Masking
from heatproof.evaluators.removal.operator import Mode as Mode


class ConcatVote(StrEnum):
    """Where the concatenation of differently masked tensors is visible.

    MAJORITY: where more than half of them are; UNION: where any is; INTERSECTION: where all are.
    """

    MAJORITY = "majority"
    UNION = "union"
    INTERSECTION = "intersection"


class GlobalPool(StrEnum):
    """What a global mean divides by: RENORMALISED the visible cells, PLAIN all cells."""

    RENORMALISED = "renormalised"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class MaskingOptions:
    """Options of one rewrite.

    Attributes:
        mode: REFERENCE or STRICT.
        concat: the vote of channel concatenations.
        global_pool: the divisor of global means; STRICT allows RENORMALISED only.
        fill: what convolutions read in hidden cells; STRICT allows NEIGHBOUR only.
        threshold: in (0, 1): a cell is visible if its mask is above it; None: masks are 0 or 1.
    """

    mode: Mode = Mode.REFERENCE
    concat: ConcatVote = ConcatVote.MAJORITY
    global_pool: GlobalPool = GlobalPool.RENORMALISED
    threshold: float | None = None
    fill: Fill = Fill.NEIGHBOUR

    def __post_init__(self) -> None:
        Masking(self.mode, self.fill)
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InvalidArgumentError(
                f"threshold must lie in (0, 1), not {self.threshold}; "
                "leave it out for masks of 0 and 1",
                field="threshold",
            )
        if self.mode is Mode.STRICT and self.global_pool is GlobalPool.PLAIN:
            raise InvalidArgumentError(
                "mode strict renormalises every global mean and excludes global_pool plain; "
                "use mode reference or global_pool renormalised",
                field="global_pool",
            )
