from dataclasses import replace

import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.explainers import (
    Centre,
    Disturbed,
    Edges,
    Explainer,
    Inverse,
    Lime,
    Occlusion,
    Random,
    Saliency,
    Supplied,
)
from heatproof.evaluators.metrics import (
    Coherency,
    Deletion,
    Insertion,
    InterModelDeletion,
    OcclusionRobustness,
    PointingGame,
)
from heatproof.evaluators.reliability.trials import (
    MAX_SCORES,
    require_held,
    require_triable,
    role_of,
    trials_of,
)
from heatproof.evaluators.reliability.values import Role
from heatproof.evaluators.removal import Black, Grey, RemovalOperator
from tests.evaluators.reliability.made_up import MAPS, MODEL, ORACLE, trial_spec


@pytest.mark.parametrize(
    ("explainer", "removal", "role"),
    [
        (Random(), Black(), Role.RANDOM),
        (Centre(), Black(), Role.BLIND),
        (Edges(), None, Role.BLIND),
        (Inverse(Saliency()), Black(), None),
        (Saliency(), Black(), Role.EXPLAINER),
        (Supplied(), Black(), Role.EXPLAINER),
        (ORACLE, Black(), Role.ORACLE),
        (ORACLE, Grey(), Role.EXPLAINER),
        (Lime(removal=Grey()), Grey(), Role.ORACLE),
        (ORACLE, None, Role.EXPLAINER),
        (Occlusion(32, 16, Black()), Black(), Role.ORACLE),
    ],
)
def test_what_a_map_is_to_a_metric(
    explainer: Explainer, removal: RemovalOperator | None, role: Role | None
) -> None:
    assert role_of(explainer, removal) is role


def test_each_metric_and_operator_is_a_trial_of_its_own() -> None:
    spec = replace(
        trial_spec(Insertion(), OcclusionRobustness(), Deletion(), PointingGame()),
        removals=(Black(), Grey()),
    )
    trials = trials_of(spec, MODEL)
    assert [(trial.key.metric.name, trial.key.removal) for trial in trials] == [
        ("insertion", Black()),
        ("insertion", Grey()),
        ("deletion", Black()),
        ("deletion", Grey()),
        ("pointing_game", None),
    ]
    keys = result_keys(spec)
    for trial in trials:
        assert {(keys[i].metric, keys[i].removal) for i in trial.results} == {
            (trial.key.metric, trial.key.removal)
        }
        assert {keys[i].explainer for i in trial.disturbed.values()} == {
            one for one in MAPS if isinstance(one, Disturbed)
        }
    assert [len(trial.places(Role.ORACLE)) for trial in trials] == [1, 1, 1, 1, 0]
    assert len(trials[4].places(Role.EXPLAINER)) == 3


def test_what_an_evaluator_is_asked_the_explained_model_does_not_answer() -> None:
    """The metric that no evaluator is asked for keeps its oracle; an evaluator's own maps too."""
    spec = trial_spec(Insertion(), Coherency())
    judged = trials_of(replace(spec, evaluator_model="models/other"), MODEL)
    own = trials_of(replace(spec, evaluator_model=MODEL), MODEL)
    assert [trial.key.metric.takes_evaluator for trial in judged] == [True, False]
    assert [len(trial.places(Role.ORACLE)) for trial in judged] == [0, 1]
    assert [trial.results for trial in judged] == [trial.results for trial in own]
    assert [len(trial.places(Role.ORACLE)) for trial in own] == [1, 1]


@pytest.mark.parametrize(
    ("explainers", "metrics", "field", "told"),
    [
        ((Saliency(), Centre()), (Insertion(),), "explainers", "random is missing"),
        ((Random(), Centre()), (Insertion(),), "explainers", "controls alone"),
        ((Random(), Saliency()), (OcclusionRobustness(),), "metrics", "no metric rates"),
        ((Random(), Saliency()), (InterModelDeletion(),), "metrics", "no metric rates"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    explainers: tuple[Explainer, ...], metrics: tuple[Insertion, ...], field: str, told: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        require_triable(trial_spec(*metrics, explainers=explainers))
    assert caught.value.field == field


def test_more_scores_than_memory_holds_are_refused() -> None:
    spec = trial_spec(Insertion())
    most = MAX_SCORES // len(result_keys(spec))
    require_held(spec, most)
    with pytest.raises(InvalidArgumentError, match="a sample of the images"):
        require_held(spec, most + 1)
