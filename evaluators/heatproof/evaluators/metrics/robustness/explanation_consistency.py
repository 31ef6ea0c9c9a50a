"""Explanation consistency under an attack on the background."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.distances import DISTANCES, Distance, unit_scaled
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.attacks.ascents import (
    EstimatedAscent,
    Probing,
    gradient_ascent,
)
from heatproof.evaluators.metrics.robustness.attacks.attack import (
    Ascent,
    Attack,
    adversarial_attack,
    random_attack,
)
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import (
    LazyImage,
    Procedure,
    chunks,
    predict,
    together,
)
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

MIN_BACKGROUND: Final = 0.05
"""Smallest share of the pixels that is worth attacking."""


class Background(StrEnum):
    """Which pixels the attack may change."""

    AUTO = "auto"
    MAP = "map"
    OBJECT = "object"
    SHARED = "shared"


class AttackKind(StrEnum):
    """How the attack finds its direction.

    Attributes:
        GRADIENT: by the gradient: FGSM with one step, PGD with more.
        SPSA: estimated from predictions, all values of a probe moved by the same.
        NES: estimated from predictions, probes drawn normally.
    """

    GRADIENT = "gradient"
    SPSA = "spsa"
    NES = "nes"


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """The map before and after a perturbation.

    Attributes:
        flipped: whether the predicted class changed.
        distance: between the maps.
        confidence_change: of the explained class.
    """

    flipped: bool
    distance: Score
    confidence_change: Score

    @property
    def consistency(self) -> Score:
        """`E`: 0 if the class flipped, whatever the maps, else `1 - D`."""
        if self.flipped:
            return 0.0
        return self.distance if isinstance(self.distance, Undefined) else 1 - self.distance


_DECIDING: Final[Mapping[Background, tuple[Reads, ...]]] = MappingProxyType(
    {
        Background.AUTO: (Reads.OBJECTS,),
        Background.MAP: (),
        Background.OBJECT: (Reads.OBJECTS,),
        Background.SHARED: (Reads.PANEL_MAPS,),
    }
)
"""What is read to tell the background, beside the map."""

_PARTS: Final[Mapping[str, Reduction]] = MappingProxyType(
    {
        "background_share": Mean(UNIT),
        "control_random": Mean(UNIT, (0.0,)),
        "flipped": Proportion(),
        "distance": Mean(UNIT),
        "training_weight": Mean(UNIT, (1.0,)),
        "confidence_change": Mean(Range(-1, 1)),
        "unflipped_consistency": Mean(UNIT),
    }
)


_CLIPPED: Final[Mapping[str, Reduction]] = MappingProxyType(
    {
        **_PARTS,
        "distance": Mean(UNIT, (1.0,)),
        "unflipped_consistency": Mean(UNIT, (0.0,)),
    }
)
"""Distances that are clipped are 1 for all maps that have nothing in common."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class ExplanationConsistency(Metric):
    """Compares the map with the map after an adversarial attack on the background alone.

    `E = 1 - D`, or 0 if the class flips (published form); the distance `D`, the background `B`
    (outside the object's mask, or `H < threshold`) and the step are ours, and so are the attacks
    that need no gradient. `v = 1 - E` is the paper's training weight.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="explanation_consistency",
        reference="Heatproof, after Wu et al. 2024, arXiv 2408.04600",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    threshold: float = parameter(
        0.2,
        "Background by the map: where it is below this, scaled to [0, 1].",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    epsilon: float = parameter(8 / 255, "Largest change of a pixel in [0, 1].", within=Range(0, 1))
    steps: int = parameter(
        1, "Steps; by the gradient 1 is FGSM, more is PGD.", within=Range(1, 100)
    )
    distance: Distance = parameter(Distance.MEAN_ABSOLUTE, "Distance between maps.")
    controls: int = parameter(3, "Number of random-sign controls.", within=Range(1, 100))
    background: Background = parameter(
        Background.AUTO, "Background: outside the object, or by the map; auto: object with masks."
    )
    attack: AttackKind = parameter(
        AttackKind.GRADIENT, "Direction of the attack; spsa and nes need no gradient."
    )
    pairs: int = parameter(
        64, "Directions that spsa and nes probe in each step.", within=Range(1, 10000)
    )
    probe: float = parameter(
        0.01,
        "How far they probe, in [0, 1].",
        within=Range(0, 0.5, lower_included=False),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean, of which a flip is the atom 0."""
        return Mean(UNIT, (0.0,))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Ranges and atoms of the parts."""
        return _PARTS if self.distance is Distance.MEAN_ABSOLUTE else _CLIPPED

    def resolved(self, inventory: Inventory) -> Metric:
        """Decides the background: the object's if any image has a mask, else the map's."""
        masked = inventory.objects.count
        if self.background is Background.AUTO:
            return replace(self, background=Background.OBJECT if masked else Background.MAP)
        if self.background is Background.OBJECT and not masked:
            raise InvalidArgumentError(
                f"background object needs object masks, and none of {inventory.images} images has "
                "one: send masks (--masks), or choose background map",
                field="background",
            )
        return self

    def leaves_open(self, other: Metric) -> bool:
        """Whether the other differs in nothing but a background that was left open here."""
        if self.background is not Background.AUTO or not isinstance(other, ExplanationConsistency):
            return False
        return replace(self, background=other.background) == other

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What decides the background too: the object, or the maps of all models."""
        return (*self.facts.reads, *_DECIDING[self.background])

    def asked_by(self, read: Reads) -> str:
        """The background decides what is read to tell it."""
        return "" if read in self.facts.reads else "background"

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image, if the attack follows one."""
        return (ModelPass(model.model, wrt=IMAGE),) if self._is_gradient else ()

    @property
    def _is_gradient(self) -> bool:
        return self.attack is AttackKind.GRADIENT

    def require_comparable(self) -> None:
        """Refuses the map's background: a diffuse map would leave little to attack, and win."""
        if self.background is Background.MAP:
            raise InvalidArgumentError(
                "background map differs between models, and one that leaves little to attack looks "
                "more consistent: compare models with background object, which needs masks, or "
                "models of one evaluation with background shared",
                field="background",
            )

    def cost(self, case: Case) -> Cost:
        """What each step asks for, and all attacked images with their maps."""
        attacked = 1 + self.controls
        if self._is_gradient:
            return Cost(self.steps + attacked, self.steps, attacked)
        return Cost(2 * self.steps * self.pairs + attacked, 0, attacked)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image; every part is there, or says why not."""
        heat = unit_scaled(case.map)
        if heat is None:
            return _unscored(_constant("clean"))
        background = self._background(case, heat)
        if isinstance(background, Undefined):
            return _unscored(background)
        share = float(background.mean())
        if share < MIN_BACKGROUND:
            detail = f"the background is {share:.1%} of the image, under {MIN_BACKGROUND:.0%}"
            return _unscored(Undefined(Reason.NO_BACKGROUND, detail), share)
        attack = Attack(background, self.epsilon, self.steps)
        attacked = yield from adversarial_attack(case.sample, attack, self._ascent(attack))
        if isinstance(attacked, Undefined):
            return _unscored(attacked, share)
        images = chain([LazyImage.of(attacked)], self._controls(case.sample, attack))
        found, *controls = yield from self._compared(case, heat, images)
        shared = {"background_share": share, "control_random": _mean_consistency(controls)}
        return _outcome(found, shared)

    def _background(self, case: Case, heat: Map) -> Mask | Undefined:
        """Pixels that may change; a background left open falls to the image's own mask."""
        if self.background is Background.MAP:
            return heat < self.threshold
        if self.background is Background.SHARED:
            return self._shared(case.panel_maps)
        mask = case.objects
        if self.background is Background.AUTO and mask is None:
            return heat < self.threshold
        if mask is None:
            return Undefined(Reason.NO_OBJECT, "the image came without an object mask")
        if not mask.any():
            detail = "the object mask marks no pixel of what the model sees of the image"
            return Undefined(Reason.NO_OBJECT, detail)
        return ~mask

    def _shared(self, maps: Mapping[str, Map]) -> Mask | Undefined:
        """Where no model's map shows anything."""
        heats = [unit_scaled(made) for made in maps.values()]
        backgrounds = [heat < self.threshold for heat in heats if heat is not None]
        if len(backgrounds) < len(heats):
            return Undefined(Reason.DEGENERATE, "the map of one of the models is constant")
        shared: Mask = np.logical_and.reduce(backgrounds)
        return shared

    def _ascent(self, attack: Attack) -> Ascent:
        if self._is_gradient:
            return gradient_ascent
        return EstimatedAscent(attack, Probing(self.attack), self.pairs, self.probe)

    def _controls(self, sample: Sample, attack: Attack) -> Iterator[LazyImage]:
        """The image under random signs on the same background; drawn when a batch is cut."""
        changed = f"{sample.image.key}/{attack.key}"
        for index in range(self.controls):
            yield LazyImage(f"{changed}/{index}", partial(random_attack, sample, attack, index))

    def _compared(
        self, case: Case, heat: Map, images: Iterable[LazyImage]
    ) -> Procedure[list[_Comparison]]:
        found: list[_Comparison] = []
        for chunk in chunks(images):
            found += yield from together(self._compare(case, heat, one) for one in chunk)
        return found

    def _compare(self, case: Case, heat: Map, image: LazyImage) -> Procedure[_Comparison]:
        answer = yield from predict(case.sample.view(image=image))
        if not np.isfinite(answer.logits).all():
            reason = Undefined(Reason.NOT_FINITE, "the answer to the attacked image is not finite")
            return _Comparison(flipped=False, distance=reason, confidence_change=reason)
        sample = case.sample.moved(image, answer)
        distance = yield from self._distance(case, sample, heat)
        flipped = answer.logits.argmax() != case.sample.clean.logits.argmax()
        change = sample.confidence - case.sample.confidence
        return _Comparison(bool(flipped), distance, change)

    def _distance(self, case: Case, sample: Sample, heat: Map) -> Procedure[Score]:
        attribution = yield from case.explain(sample)
        if isinstance(attribution, Undefined):
            return attribution
        if not np.isfinite(attribution).all():
            return Undefined(Reason.NOT_FINITE, "the map of the attacked image is not finite")
        other = unit_scaled(attribution)
        return _constant("attacked") if other is None else DISTANCES[self.distance](heat, other)


def _mean_consistency(controls: Sequence[_Comparison]) -> Score:
    scores = [control.consistency for control in controls]
    defined = [score for score in scores if not isinstance(score, Undefined)]
    return float(np.mean(defined)) if defined else scores[-1]


def _outcome(found: _Comparison, shared: Mapping[str, Score]) -> Outcome:
    score = found.consistency
    unflipped = Undefined(Reason.FLIPPED, "the predicted class changed") if found.flipped else score
    parts: dict[str, Score] = {
        **shared,
        "flipped": float(found.flipped),
        "distance": found.distance,
        "training_weight": score if isinstance(score, Undefined) else 1 - score,
        "confidence_change": found.confidence_change,
        "unflipped_consistency": unflipped,
    }
    return Outcome(score, parts)


def _unscored(reason: Undefined, share: float | None = None) -> Outcome:
    """No score, and no part but the background's share if that is known."""
    parts: dict[str, Score] = dict.fromkeys(_PARTS, reason)
    if share is not None:
        parts["background_share"] = share
    return Outcome(reason, parts)


def _constant(which: str) -> Undefined:
    return Undefined(Reason.DEGENERATE, f"the map of the {which} image is constant")
