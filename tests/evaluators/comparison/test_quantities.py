"""What models are compared by, and what they cannot be compared by."""

import pytest

from heatproof.evaluators.comparison.quantities import (
    compared_quantities,
    pairs_of,
    require_comparable_models,
)
from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.explainers import Centre, Saliency
from heatproof.evaluators.metrics import (
    Deletion,
    ExplanationConsistency,
    Insertion,
    InterModelDeletion,
    OcclusionRobustness,
)
from heatproof.evaluators.metrics.robustness.explanation_consistency import Background
from tests.evaluators.comparison.made_up import spec_of


def test_each_model_has_the_result_of_its_own_and_its_parts_of_a_panel() -> None:
    spec = spec_of(
        "a",
        "b",
        "c",
        metrics=(InterModelDeletion(), Insertion(), OcclusionRobustness()),
        explainers=(Saliency(), Centre()),
    )
    keys, quantities = result_keys(spec), compared_quantities(spec)
    named = [(one.keys[0].metric.name, one.part, one.is_control) for one in quantities]
    assert named == [
        ("insertion", "", False),
        ("insertion", "", True),
        ("occlusion_robustness", "", False),
        ("inter_model_deletion", "quality", False),
        ("inter_model_deletion", "own_map_advantage", False),
        ("inter_model_deletion", "quality", True),
        ("inter_model_deletion", "own_map_advantage", True),
    ]
    for one in quantities:
        assert [keys[index] for index in one.results] == list(one.keys)
        if one.part:
            assert one.columns == tuple(f"{one.part}[{place}]" for place in range(3))
        else:
            assert [key.models for key in one.keys] == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize(("models", "marked"), [(("a", "b"), True), (("a", "b", "c"), False)])
def test_a_quality_that_rests_on_one_evaluator_is_marked(
    models: tuple[str, ...], *, marked: bool
) -> None:
    quality, advantage = compared_quantities(spec_of(*models, metrics=(InterModelDeletion(),)))
    assert any("one evaluator" in caution for caution in quality.cautions) == marked
    assert dict(quality.controls) == {"random": "quality[random]", "centre": "quality[centre]"}
    assert not advantage.controls


def test_one_model_is_not_compared() -> None:
    with pytest.raises(InvalidArgumentError, match="evaluate at least 2 together") as caught:
        require_comparable_models(spec_of("a"))
    assert caught.value.field == "models"


@pytest.mark.parametrize("background", Background)
def test_a_background_of_each_map_is_no_ground_for_a_comparison(background: Background) -> None:
    metrics = (Deletion(), ExplanationConsistency(background=background))
    spec = spec_of("a", "b", metrics=metrics)
    if background is not Background.MAP:
        require_comparable_models(spec)
        return
    with pytest.raises(InvalidArgumentError, match=r"background object.*background shared") as told:
        require_comparable_models(spec)
    assert told.value.field == "metrics[1].explanation_consistency.background"


def test_a_reference_must_be_one_of_the_models() -> None:
    assert pairs_of(("a", "b", "c"), "") == ((0, 1), (0, 2), (1, 2))
    assert pairs_of(("a", "b", "c"), "c") == ((0, 2), (1, 2))
    with pytest.raises(InvalidArgumentError, match="its models: a, b, c") as caught:
        pairs_of(("a", "b", "c"), "d")
    assert caught.value.field == "reference_model"
