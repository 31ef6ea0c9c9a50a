"""What the models of an evaluation are compared by, and what they cannot be compared by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.statistics.reductions import Mean

_FEWEST_MODELS: Final = 2


@dataclass(frozen=True, slots=True)
class ComparedQuantity:
    """One quantity that every model has.

    Attributes:
        keys: the result of each model, in the order of the spec.
        results: their indices.
        columns: which of the scores and parts of its result is the model's.
        part: name of the quantity; "" for the score.
        controls: which parts are those of control maps, by their names.
        cautions: what must be known to compare models by it.
    """

    keys: tuple[ResultKey, ...]
    results: tuple[int, ...]
    columns: tuple[str, ...]
    part: str = ""
    controls: Mapping[str, str] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()

    @property
    def is_control(self) -> bool:
        """Whether the maps are a control's."""
        explainer = self.keys[0].explainer
        return explainer is not None and explainer.is_control

    @property
    def is_tested(self) -> bool:
        """Whether a difference is a hypothesis, of a value that images have a share in."""
        key, name = self.keys[0], self.columns[0]
        reduction = key.metric.reductions(len(key.models)).get(name, Mean())
        is_own = not key.metric.is_mutual or len(self.keys) > _FEWEST_MODELS
        return reduction.is_resampled and is_own and not self.is_control


def tests_of(quantities: Sequence[ComparedQuantity], pairs: int) -> int:
    """Most tests that a comparison can make: of each pair by what is tested."""
    return pairs * sum(one.is_tested for one in quantities)


def compared_quantities(spec: EvaluationSpec) -> tuple[ComparedQuantity, ...]:
    """Lists what the models of a spec are compared by, in the order of their results."""
    keys = result_keys(spec)
    alone: dict[tuple[object, ...], list[int]] = {}
    panels: list[ComparedQuantity] = []
    for index, key in enumerate(keys):
        if len(key.models) == 1:
            alone.setdefault((key.metric, key.removal, key.explainer), []).append(index)
        else:
            panels.extend(_panel_quantities(index, key))
    scores = (
        ComparedQuantity(
            keys=tuple(keys[index] for index in places),
            results=tuple(places),
            columns=("",) * len(places),
            cautions=_cautions(keys[places[0]].metric.comparison_caution),
        )
        for places in alone.values()
    )
    return (*scores, *panels)


def _panel_quantities(index: int, key: ResultKey) -> list[ComparedQuantity]:
    models = len(key.models)
    return [
        ComparedQuantity(
            keys=(key,) * models,
            results=(index,) * models,
            columns=part.of_models,
            part=part.name,
            controls=part.of_controls,
            cautions=_cautions(key.metric.comparison_caution, part.caution),
        )
        for part in key.metric.panel_parts(models)
    ]


def _cautions(*told: str) -> tuple[str, ...]:
    return tuple(one for one in told if one)


def require_comparable_models(spec: EvaluationSpec) -> None:
    """Refuses to compare the models of a spec that has one, or by what they cannot be compared by.

    Raises:
        InvalidArgumentError: names the field below the spec, and the way out.
    """
    if len(spec.models) < _FEWEST_MODELS:
        raise InvalidArgumentError(
            f"models are compared with each other, and there is {len(spec.models)}: evaluate at "
            f"least {_FEWEST_MODELS} together",
            field="models",
        )
    for index, metric in enumerate(spec.metrics):
        with placed(f"metrics[{index}].{metric.name}"):
            metric.require_comparable()
    if not compared_quantities(spec):
        raise InvalidArgumentError(
            "no metric has a value of each model's own: name one, such as "
            "occlusion_corrected_deletion",
            field="metrics",
        )


def reading_cautions(outputs: Sequence[ClassOutput]) -> tuple[str, ...]:
    """Says where the probabilities of the models are of different kinds."""
    alone = [one.model for one in outputs if one.is_each_by_itself]
    among = [one.model for one in outputs if not one.is_each_by_itself]
    if not alone or not among:
        return ()
    told = (
        f"probabilities of {', '.join(alone)} are of each class by itself (sigmoid), those of "
        f"{', '.join(among)} are shares among the classes (softmax): what is made of them differs "
        "between the two for that alone"
    )
    return (told,)


def pairs_of(models: tuple[str, ...], reference: str) -> tuple[tuple[int, int], ...]:
    """Places of the models whose values are taken off each other.

    Args:
        models: those of the spec.
        reference: each other one less this; "" for all pairs.

    Raises:
        InvalidArgumentError: the reference is none of the models.
    """
    if not reference:
        return tuple(combinations(range(len(models)), 2))
    if reference not in models:
        raise InvalidArgumentError(
            f"{reference!r} is no model of the evaluation; its models: {', '.join(models)}",
            field="reference_model",
        )
    place = models.index(reference)
    return tuple((other, place) for other in range(len(models)) if other != place)
