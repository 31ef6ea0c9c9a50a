"""What metrics share that draw weights of the model anew, stage by stage."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any, ClassVar

import numpy as np

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.functions.similarities import Likeness, Similarity
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.outcomes import Curve, Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import Capability, ModelPass, Weights
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, together
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction


class LayerOrder(StrEnum):
    """Which layers a stage draws anew."""

    TOP_DOWN = "top_down"
    BOTTOM_UP = "bottom_up"
    INDEPENDENT = "independent"


@dataclass(frozen=True, slots=True)
class RandomizedModels(Metric, ABC):
    """Compares maps with those of the model after weights were changed at random.

    Weights drawn anew come from normal distributions with each tensor's own mean and deviation
    (ours; published: the layers' initializers). Draws go by the spec's seed alone, so that all
    images meet the same random models. The class stays the one that the trained model's map
    explains.
    """

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """All layers at random, which every stage is a part of."""
        return (ModelPass(model.model, Weights(model.layers)),)

    def check(self, case: Case) -> None:
        """Refuses a model without weights to draw.

        Raises:
            UnsupportedOperatorError: there are none.
        """
        if not case.model.layers:
            raise UnsupportedOperatorError(
                f"{self.name} needs {Capability.RANDOMIZATION}, which {case.model.model} lacks: no "
                "layer has constant weights",
                metadata={"model": case.model.model, "capability": Capability.RANDOMIZATION},
            )


def sound_map(case: Case, sample: Sample, whose: str) -> Procedure[Map | Undefined]:
    """A map made anew, or why there is none; `whose` it is stands in the reason."""
    made = yield from case.explain(sample)
    if isinstance(made, Undefined) or np.isfinite(made).all():
        return made
    return Undefined(Reason.NOT_FINITE, f"the map of {whose} is not finite")


def rms_scaled(made: Map) -> Map:
    """A map over its root mean square; a map of zeros, which has none, stays as it is."""
    scale = float(np.sqrt(np.mean(made**2)))
    return made / scale if scale > 0 else made


@dataclass(frozen=True, slots=True)
class StagedRandomization(RandomizedModels, ABC):
    """Averages the likeness to the trained model's map over stages of more and more layers."""

    run_stages: ClassVar[Callable[[Iterable[Procedure[Any]]], Procedure[list[Any]]]] = together
    """Whether stages run side by side or one after another."""

    stages: int = parameter(8, "Stages from trained to random.", within=Range(1, 1000))
    order: LayerOrder = parameter(LayerOrder.TOP_DOWN, "Which layers a stage draws anew.")
    similarity: Similarity = parameter(Similarity.SPEARMAN, "Likeness of two maps.")
    absolute: bool = parameter(default=True, summary="Whether the maps' magnitudes are compared.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the likenesses."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The last stage, and the stages without a likeness of their own."""
        return {"last": Mean(Range(-1, 1)), "n_constant": Mean(NOT_NEGATIVE)}

    @abstractmethod
    def trained_map(self, case: Case) -> Procedure[Map | Undefined]:
        """What all stages are compared with."""

    @abstractmethod
    def stage_map(self, case: Case, weights: Weights) -> Procedure[Map | Undefined]:
        """The map of a model with weights drawn anew."""

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean over j of similarity(A, A_j)`."""
        trained = yield from self.trained_map(case)
        if isinstance(trained, Undefined):
            return Outcome(trained)
        if is_constant(trained.reshape(-1)):
            return Outcome(Undefined(Reason.DEGENERATE, "the map of the trained model is constant"))
        stages = (self._likeness(case, trained, weights) for weights in self.weights(case))
        found = yield from type(self).run_stages(stages)
        reason = next((one for one in found if isinstance(one, Undefined)), None)
        if reason is not None:
            return Outcome(reason)
        return self._outcome([one if isinstance(one, float) else None for one in found])

    def _likeness(
        self, case: Case, trained: Map, weights: Weights
    ) -> Procedure[float | Undefined | None]:
        """Likeness at a stage; None for a map that became constant."""
        made = yield from self.stage_map(case, weights)
        if isinstance(made, Undefined):
            return made
        return Likeness(self.similarity, self.absolute).of(trained, made)

    def weights(self, case: Case) -> list[Weights]:
        """What each stage draws anew."""
        layers = case.model.layers
        stages = range(1, self.stages + 1)
        return [Weights(self._layers(layers, stage), case.sample.seed) for stage in stages]

    def _outcome(self, found: Sequence[float | None]) -> Outcome:
        """A stage whose map became constant counts as 0."""
        values = [0.0 if one is None else one for one in found]
        parts = {"last": values[-1], "n_constant": float(sum(one is None for one in found))}
        fractions = tuple(stage / self.stages for stage in range(1, self.stages + 1))
        curve = Curve(fractions, tuple(values))
        return Outcome(float(np.mean(values)), parts, {"similarity": curve})

    def _layers(self, layers: tuple[str, ...], stage: int) -> tuple[str, ...]:
        last = ceil(stage * len(layers) / self.stages)
        if self.order is LayerOrder.TOP_DOWN:
            return layers[len(layers) - last :]
        first = ceil((stage - 1) * len(layers) / self.stages)
        return layers[first:last] if self.order is LayerOrder.INDEPENDENT else layers[:last]
