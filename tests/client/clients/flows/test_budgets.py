"""How much is evaluated within a time, as the clients ask for it."""

from pathlib import Path
from typing import Any

import pytest

from heatproof.client import Client, UsageError
from heatproof.client.clients.flows.running.budgets import TRIED_UNITS
from heatproof.client.clients.progress import Progress, Stage
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationRequest
from tests.client import fakes
from tests.client.canned import png

IMAGES = 20
QUESTION: dict[str, Any] = {
    "preprocessing": "imagenet",
    "metrics": ["deletion"],
    "explainers": ["grad_cam"],
    "removals": ["black"],
}


@pytest.fixture
def asked(model_file: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A model and a folder of images."""
    for number in range(IMAGES):
        (tmp_path / f"{number:02}.png").write_bytes(png(number + 1))
    return model_file, tmp_path


def created(script: fakes.Script) -> list[CreateEvaluationRequest]:
    """Those requests that had something run."""
    return [one for one in script.calls["CreateEvaluation"] if not one.validate_only]


@pytest.mark.parametrize(
    ("cost", "units"),
    [((100.0, 50.0), 9), ((100.0, 1e6), 0), ((1e6, 1.0), TRIED_UNITS), ((1e5, 1e5 + 60), 0)],
)
def test_as_many_units_are_evaluated_as_fit(
    client: Client,
    script: fakes.Script,
    asked: tuple[Path, Path],
    cost: tuple[float, float],
    units: int,
) -> None:
    seconds, budget = cost
    script.seconds = [seconds]
    client.evaluate(*asked, budget=budget, **QUESTION)
    (request,) = created(script)
    # What asking took is part of the budget, so one less than half of them may fit.
    assert request.spec.units in {units, units + (units == 9)}


def test_where_the_cost_is_not_known_a_few_units_are_tried_first(
    client: Client, script: fakes.Script, asked: tuple[Path, Path]
) -> None:
    script.seconds = [None, 2000.0]
    told: list[Progress] = []
    client.evaluate(*asked, budget=500.0, keep_overlays=True, on_progress=told.append, **QUESTION)
    trial, request = created(script)
    assert trial.spec.units == TRIED_UNITS
    assert not trial.spec.keep_overlays
    assert (trial.spec.no_cache, request.spec.no_cache) == (True, False)
    assert trial.request_id != request.request_id
    assert request.spec.units == 4  # a quarter of the time less what the trial took
    assert request.spec.keep_overlays
    assert len(script.calls["DeleteEvaluation"]) == 1
    stages = [progress.stage for progress in told]
    assert stages.index(Stage.TRY) < stages.index(Stage.EVALUATE)


def test_without_a_budget_nothing_is_asked_beforehand(
    client: Client, script: fakes.Script, asked: tuple[Path, Path]
) -> None:
    client.evaluate(*asked, units=7, **QUESTION)
    (request,) = script.calls["CreateEvaluation"]
    assert request.spec.units == 7


def test_an_estimate_with_a_budget_is_of_what_fits(
    client: Client, script: fakes.Script, asked: tuple[Path, Path]
) -> None:
    script.seconds = [100.0, 40.0]
    client.estimate(*asked, budget=45.0, **QUESTION)
    first, second = script.calls["CreateEvaluation"]
    assert (first.validate_only, second.validate_only) == (True, True)
    assert (first.spec.units, second.spec.units in {8, 9}) == (0, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budget": 60.0, "units": 3}, "exclude each other"),
        ({"budget": 0.0}, "above 0"),
        ({"budget": float("nan")}, "above 0"),
        ({"budget": float("inf")}, "above 0"),
    ],
)
def test_a_budget_without_sense_is_refused_before_anything_is_sent(
    client: Client, script: fakes.Script, asked: tuple[Path, Path], options: Any, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        client.evaluate(*asked, **options, **QUESTION)
    assert not script.calls
