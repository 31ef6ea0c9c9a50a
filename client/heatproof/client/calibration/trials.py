"""What a calibration scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Chosen: TypeAlias = Mapping[str, Mapping[str, Any]]
"""A metric, explainer or removal operator: its name, and its parameters."""

BLIND_MAPS: Final = ("random", "centre", "edges")
"""Maps that know nothing of the model."""


class Need(StrEnum):
    """What a trial needs beside model and images."""

    NOTHING = "nothing"
    MASKS = "masks"
    PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Trial:
    """A metric that may become a check.

    Attributes:
        metric: what is scored, and what would be checked.
        question: what it asks, in a sentence.
        need: what it takes.
        hides: whether it hides regions. It needs a removal operator then, and a blind map is held
            below the bound too: where that fails, hiding no longer tells a map from a blind one.
        blind: the metric by which control maps are scored, made of the explainer under test; None:
            `metric` itself.
    """

    metric: Chosen
    question: str
    need: Need = Need.NOTHING
    hides: bool = False
    blind: Callable[[Chosen], Chosen] | None = None

    @property
    def name(self) -> str:
        """Name of the metric."""
        return next(iter(self.metric))


def _agreement(name: str, question: str) -> Trial:
    """Agreement with the parent, against that of control maps with the model's own map."""
    return Trial(
        {name: {"against": "models"}},
        question,
        need=Need.PARENT,
        blind=lambda explainer: {name: {"other": explainer}},
    )


_GRID: Final = MappingProxyType({"grid": {"side": 7}})

TRIALS: Final = (
    Trial(
        {"occlusion_corrected_deletion": {"grid": 5, "steps": 5}},
        "Hiding what the map ranks high must cost more than hiding what blind maps rank high: 0 is "
        "random orders, 1 the model's own order.",
        hides=True,
    ),
    Trial(
        {"srg": {"regions": dict(_GRID), "steps": 7}},
        "Hiding what the map ranks high must cost more than hiding what it ranks low.",
        hides=True,
    ),
    Trial(
        {"mprt": {"stages": 4}},
        "The map must change when the weights are drawn anew: one that stays shows the image.",
    ),
    Trial(
        {"localization_auc": {}},
        "A pixel of the object must lie above one outside: 0.5 is chance.",
        need=Need.MASKS,
    ),
    _agreement("agreement_spearman", "The parent's map must have the same regions, in one order."),
    _agreement("agreement_top_k", "The same tenth of the pixels must count most for the parent."),
    _agreement("agreement_ssim", "The map must look like the parent's."),
    _agreement("agreement_ndcg", "What the parent's map ranks high, this one must rank high."),
)
"""What is tried, in the order of the policy's checks."""
