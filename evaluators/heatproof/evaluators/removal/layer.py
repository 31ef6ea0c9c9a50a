"""Removal inside the network: layer masking."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    Backdrop,
    Fill,
    Masking,
    Mode,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Layer(RemovalOperator):
    """Hides regions inside the network by propagating a visibility mask through its layers."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="layer",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        content_free=True,
    )

    mode: Mode = parameter(Mode.REFERENCE, "Variant of the rules.")
    fill: Fill = parameter(Fill.NEIGHBOUR, "What convolutions read in hidden cells.")

    def __post_init__(self) -> None:
        # Refuses what excludes each other.
        Masking(self.mode, self.fill)

    @property
    def masking(self) -> Masking:
        """The variant of the rewritten model."""
        return Masking(self.mode, self.fill)

    def bind(self, view: RemovalView) -> Render:
        """Leaves the pixels alone: the mask reaches the network beside them."""
        return Backdrop(view.image, None)
