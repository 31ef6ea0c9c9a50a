"""Continuity: how far a map moves when the image is shifted sideways."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.perturbed_maps import (
    NORMALIZATION,
    ExplainedImage,
    Normalization,
    PerturbedMaps,
    over_distance,
)
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads

_STEPS: Final = 4
"""Shifts to each side."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class Continuity(PerturbedMaps):
    """Takes the largest change of the map over the change of the image, shifted sideways.

    `max over k of ||A_k - A||_1 / ||x_k - x||_2`, over shifts by quarters of `reach` to both sides,
    black where nothing is left. A map that moves with the image, as it should, is punished for it
    unless it is `aligned` (ours): shifted back and compared where both maps show the image.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="continuity",
        reference="Montavon et al. 2018, doi 10.1016/j.dsp.2017.10.011",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )
    summarize: ClassVar[Callable[[Sequence[float]], float]] = max

    reach: float = parameter(
        0.125,
        "Largest shift as a share of the width.",
        within=Range(0, 1, lower_included=False),
    )
    aligned: bool = parameter(
        default=False, summary="Whether maps are shifted back before they are compared."
    )
    normalization: Normalization = parameter(Normalization.MAX, NORMALIZATION, is_shared=True)

    def check(self, case: Case) -> None:
        """Refuses shifts under a pixel, and by the whole width where maps are shifted back."""
        width = case.model.width
        shifts = self._shifts(width)
        if not all(shifts):
            raise InvalidArgumentError(
                f"reach is {self.reach:g}, a quarter of which is no pixel of the input's {width}: "
                f"choose {_STEPS / width:.3g} or more",
                field="reach",
            )
        if self.aligned and max(shifts) >= width:
            raise InvalidArgumentError(
                f"reach is {self.reach:g}, after which nothing of the image is left where "
                "aligned maps could be compared: choose a smaller one",
                field="reach",
            )

    def cost(self, case: Case) -> Cost:
        """A map of each shifted image, and a prediction where somebody reads it."""
        return Cost(views=self.answers(case, 2 * _STEPS), explanations=2 * _STEPS)

    def perturbed(self, sample: Sample) -> Iterator[LazyImage]:
        """The image shifted by `+-reach W j / 4`, j = 1..4, in whole pixels."""
        for shift in self._shifts(sample.width):
            key = f"{sample.image.key}/shift/{shift}"
            yield LazyImage(key, partial(_shifted, sample.image, shift))

    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||A_k - A||_1 / ||x_k - x||_2`."""
        yield from ()
        before, after = clean.map, moved.map
        if self.aligned:
            shift = self._shifts(clean.sample.width)[moved.draw]
            before, after = _beyond(before, -shift), _beyond(after, shift)
        return over_distance(float(np.abs(after - before).sum()), clean, moved)

    def _shifts(self, width: int) -> tuple[int, ...]:
        steps = [round(self.reach * width * step / _STEPS) for step in range(1, _STEPS + 1)]
        return tuple(side * step for step in steps for side in (1, -1))


def _shifted(image: LazyImage, shift: int) -> Image:
    """Moves an image to the right, or to the left by a negative shift; black comes in."""
    pixels = image.draw()
    width = pixels.shape[2]
    shifted = np.zeros_like(pixels)
    to = slice(max(0, shift), min(width, width + shift))
    shifted[:, :, to] = pixels[:, :, max(0, -shift) : min(width, width - shift)]
    return shifted


def _beyond(made: Map, shift: int) -> Float64[np.ndarray, "height left"]:
    """The columns from `shift` on, or all but the last `-shift` ones."""
    return made[:, shift:] if shift > 0 else made[:, :shift]
