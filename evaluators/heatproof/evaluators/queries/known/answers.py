"""The seam between the science and whatever keeps answers beyond an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True, slots=True, eq=False)
class AnswerRow:
    """What a pass gives for one query, but for what the query holds itself.

    Attributes:
        logits: class scores.
        coverage: visible share of the last spatial mask, in [0, 1]; None without masking.
        activation: the tensor that was differentiated by; None for a forward pass alone, and where
            it is the image of the query.
        gradient: gradient in that tensor, or in the image; None for a forward pass alone.
        features: the tapped tensors by name.
    """

    logits: Float32[np.ndarray, "classes"]
    coverage: float | None = None
    activation: Float32[np.ndarray, "..."] | None = None
    gradient: Float32[np.ndarray, "..."] | None = None
    features: Mapping[str, Float32[np.ndarray, "..."]] = field(default_factory=dict)


class KnownAnswers(Protocol):
    """Answers of one model, each under the SHA-256 of all that determines it but the model.

    Whoever implements this keeps answers apart by model, preprocessing, and whatever else may
    change a bit of them: the runtime, its settings, the processor, the size of batches.
    """

    def find(self, key: bytes, place: int) -> AnswerRow | None:
        """An answer that was given before, with equal bits; None if there is none.

        Args:
            key: SHA-256 of the query.
            place: of the image, among those that are evaluated together, for which it is asked.
        """
        ...

    def keep(self, key: bytes, place: int, row: AnswerRow) -> None:
        """Takes an answer for later; see `find`. It may be forgotten at any time."""
        ...
