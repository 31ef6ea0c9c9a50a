"""Evaluations of several models with scores of choice."""

from collections.abc import Mapping, Sequence
from typing import Any

from heatproof.evaluators.comparison.comparing import ComparisonRules, compared
from heatproof.evaluators.comparison.quantities import compared_quantities
from heatproof.evaluators.comparison.values import ModelComparison
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Explainer, Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import Insertion, Metric
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.removal import Black

HOLE = Undefined(Reason.DEGENERATE, "constant map")


def spec_of(
    *models: str,
    metrics: Sequence[Metric] = (Insertion(),),
    explainers: Sequence[Explainer] = (Saliency(),),
    **changes: Any,
) -> EvaluationSpec:
    return EvaluationSpec(
        models=models,
        preprocessing=PRESETS["unit"],
        metrics=tuple(metrics),
        explainers=tuple(explainers),
        removals=(Black(),),
        **changes,
    )


def columns_of(
    spec: EvaluationSpec,
    results: Sequence[Sequence[Any]],
    parts: Mapping[int, Mapping[str, Sequence[float]]] | None = None,
    groups: Sequence[str] = (),
    order: Sequence[int] | None = None,
) -> Columns:
    """Columns of a spec with these scores, one sequence a result; None is a hole.

    `parts` are those of a result by its index; `order` is that of the images.
    """
    assert len(results) == len(result_keys(spec))
    images = [
        ImageResult(
            image=f"{place:064x}",
            display_name=f"{place}",
            label=None,
            predictions=(),
            scores=tuple(
                ImageScore(
                    index,
                    HOLE if scores[place] is None else float(scores[place]),
                    {name: float(of[place]) for name, of in (parts or {}).get(index, {}).items()},
                    {},
                )
                for index, scores in enumerate(results)
            ),
            group=groups[place] if groups else "",
        )
        for place in range(len(results[0]))
    ]
    return tabulated(spec, [images[place] for place in order] if order is not None else images)


def comparisons(
    spec: EvaluationSpec, columns: Columns, reference: str = "", tolerance: float = 0.0
) -> tuple[ModelComparison, ...]:
    rules = ComparisonRules(reference, tolerance)
    return compared(spec, compared_quantities(spec), columns, rules)
