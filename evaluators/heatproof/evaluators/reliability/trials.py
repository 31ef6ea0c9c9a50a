"""Which results of an evaluation put a metric to the test, and what each of its maps is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Disturbed, Explainer, Inverse, Random
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.reliability.values import Role
from heatproof.evaluators.removal import RemovalOperator

MAX_SCORES: Final = 20_000_000
"""MapScores of one model, images times results, that are held at once."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An explainer whose maps a metric rates.

    Attributes:
        explainer: whose maps.
        role: what they are to the test.
        result: index of the result.
    """

    explainer: Explainer
    role: Role
    result: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A metric on one model with one removal operator, and the maps it is tried on.

    Attributes:
        key: its first result.
        contenders: the rated maps.
        disturbed: results of maps with noise, by the explainer they were made of.
    """

    key: ResultKey
    contenders: tuple[Contender, ...]
    disturbed: Mapping[Explainer, int]

    @property
    def results(self) -> tuple[int, ...]:
        """Indices of everything that it reads."""
        return (*(one.result for one in self.contenders), *self.disturbed.values())

    def places(self, role: Role) -> tuple[int, ...]:
        """Which contenders have a role."""
        return tuple(place for place, one in enumerate(self.contenders) if one.role is role)


def trials_of(spec: EvaluationSpec, model: str) -> tuple[Trial, ...]:
    """The trials of one model, in the order of their results."""
    grouped: dict[tuple[Metric, RemovalOperator | None], list[tuple[int, ResultKey]]] = {}
    for index, key in enumerate(result_keys(spec)):
        if key.models == (model,) and key.explainer is not None and _is_tried(key.metric):
            grouped.setdefault((key.metric, key.removal), []).append((index, key))
    return tuple(
        _trial(group, has_oracles=spec.judge(metric, model) == model)
        for (metric, _), group in grouped.items()
    )


def _is_tried(metric: Metric) -> bool:
    return Reads.PANEL not in metric.reads and metric.reduction.is_resampled


def _trial(group: list[tuple[int, ResultKey]], *, has_oracles: bool) -> Trial:
    """The trial of a metric that asks the explained model, or an evaluator, which has no oracle."""
    contenders = []
    disturbed = {}
    for index, key in group:
        explainer = key.explainer
        if isinstance(explainer, Disturbed):
            disturbed[explainer.of] = index
        elif explainer is not None and (role := role_of(explainer, key.removal)):
            if role is Role.ORACLE and not has_oracles:
                role = Role.EXPLAINER
            contenders.append(Contender(explainer, role, index))
    return Trial(group[0][1], tuple(contenders), disturbed)


def role_of(explainer: Explainer, removal: RemovalOperator | None) -> Role | None:
    """What an explainer's maps are to a metric with a removal operator; None: no part of the test.

    An oracle is the model's own answer to the question of such metrics: an explainer that hides
    regions as well, by the operator that the metric hides by. Where an evaluator answers the
    metric, it is an explainer as others are, for it asked another model.
    """
    if isinstance(explainer, Random):
        return Role.RANDOM
    if isinstance(explainer, Inverse):
        return None
    if explainer.is_control:
        return Role.BLIND
    asks_alike = removal is not None and getattr(explainer, "removal", None) == removal
    return Role.ORACLE if asks_alike else Role.EXPLAINER


def require_triable(spec: EvaluationSpec) -> None:
    """Refuses a spec of which no metric can be put to the test.

    Raises:
        InvalidArgumentError: names the field below the spec, and the way out.
    """
    if not any(isinstance(explainer, Random) for explainer in spec.explainers):
        raise InvalidArgumentError(
            "the explainer random is missing: without it nobody knows what a score is worth",
            field="explainers",
        )
    for model in spec.models:
        trials = trials_of(spec, model)
        if not trials:
            raise InvalidArgumentError(
                "no metric rates the maps of an explainer image by image: name one, such as "
                "occlusion_corrected_deletion",
                field="metrics",
            )
        if not any(trial.places(Role.EXPLAINER) for trial in trials):
            raise InvalidArgumentError(
                "there are controls alone: name an explainer to rate, such as grad_cam",
                field="explainers",
            )


def require_held(spec: EvaluationSpec, images: int) -> None:
    """Refuses more scores than are held at once.

    Raises:
        InvalidArgumentError: names the evaluation, and the way out.
    """
    scores = images * len(result_keys(spec))
    if scores > MAX_SCORES:
        raise InvalidArgumentError(
            f"{scores} scores of {images} images are more than the {MAX_SCORES} that are held at "
            "once: evaluate a sample of the images, or fewer metrics or explainers",
            field="name",
        )
