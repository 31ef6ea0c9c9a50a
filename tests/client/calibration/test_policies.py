"""What a calibrated policy holds, whatever the server has found."""

import tomllib
from typing import Any

import pytest

from heatproof.client.calibration.bounds import bound_of
from heatproof.client.calibration.findings import Finding
from heatproof.client.calibration.policies import Accuracy, Calibration, policy_text
from heatproof.client.calibration.trials import TRIALS
from heatproof.client.documents.messages import read
from heatproof.v1.gate_pb2 import Policy
from heatproof.v1.results_pb2 import Direction, Interval, Summary

GOOD, NEAR, BLIND = (0.8, 0.85, 0.9), (0.05, 0.3, 0.5), (-0.1, 0.0, 0.1)


def summary(ends: tuple[float, float, float]) -> Summary:
    lower, value, upper = ends
    return Summary(value=value, interval=Interval(lower=lower, upper=upper), scored=30)


def finding(name: str, own: tuple[float, float, float], **changes: Any) -> Finding:
    (trial,) = [one for one in TRIALS if one.name == name]
    controls = {one: summary(BLIND) for one in ("random", "centre", "edges")}
    bound = bound_of(summary(own), controls, Direction.DIRECTION_HIGHER_IS_BETTER)
    held = {"min_scored": None, "higher_is_better": True, **changes}
    return Finding(trial, {"rise": {"masks": 50}}, summary(own), controls, bound, **held)


def written(*findings: Finding, accuracy: Accuracy | None = None) -> tuple[str, dict[str, Any]]:
    calibration = Calibration(
        told=("of a test",),
        command="heatproof init --yes",
        preprocessing={"preset": "unit"},
        stated={"output": "logits", "activation": "logits"},
        removal={"blur": {"sigma": 3.0}},
        seed=7,
        findings=findings,
        accuracy=accuracy,
    )
    text = policy_text(calibration)
    table = tomllib.loads(text)
    assert read(Policy, table).checks
    return text, table


def test_what_is_told_apart_is_a_check_with_a_blind_map_below_it() -> None:
    _, table = written(finding("srg", GOOD, min_scored=0.7))
    metric = {"srg": {"regions": {"grid": {"side": 7}}, "steps": 7}}
    assert table["checks"] == [
        {"metric": metric, "explainer": {"rise": {"masks": 50}}, "min": 0.45, "min_scored": 0.7},
        {"metric": metric, "explainer": "random", "max": 0.45, "min_scored": 0.7},
    ]
    assert table["explainers"] == [{"rise": {"masks": 50}}, "random"]
    assert table["removals"] == [{"blur": {"sigma": 3.0}}]
    assert table["seed"] == 7
    model = {"output": "logits", "activation": "logits", "preprocessing": {"preset": "unit"}}
    assert table["model"] == model


def test_what_overlaps_warns_on_the_mean_and_says_why() -> None:
    text, table = written(finding("localization_auc", NEAR))
    (check,) = table["checks"]
    assert (check["on"], check["severity"], check["min"]) == ("mean", "warn", 0.15)
    assert "It warns only" in text


def test_operators_that_no_check_reads_are_not_listed_for_a_gate_refuses_them() -> None:
    left_out = finding("srg", (-0.2, -0.1, 0.0))
    text, table = written(finding("localization_auc", GOOD), left_out)
    assert "removals" not in table
    assert table["explainers"] == [{"rise": {"masks": 50}}]
    assert "Left out: srg of rise (masks 50)" in text


@pytest.mark.parametrize(("obstacle", "expected"), [("", {"min": 0.7}), ("why", None)])
def test_the_clean_accuracy_is_bounded_unless_something_is_in_the_way(
    obstacle: str, expected: dict[str, float] | None
) -> None:
    accuracy = Accuracy(summary((0.8, 0.9, 0.95)), obstacle)
    text, table = written(finding("srg", GOOD), accuracy=accuracy)
    assert table.get("clean_accuracy") == expected
    assert "0.9 [0.8, 0.95]" in text
