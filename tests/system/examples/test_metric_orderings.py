"""The page of orderings says what was measured."""

import json
from typing import Any

from examples.metric_pictures.orderings import PAGE, counts, filled, gains, ordering
from heatproof.v1.results_pb2 import Direction

SCORES = PAGE.parents[1] / "examples" / "metric_pictures" / "scores.json"


def score(value: float, *ends: float) -> dict[str, float | None]:
    lower, upper = ends or (None, None)
    return {"value": value, "lower": lower, "upper": upper}


def step(worse: str, better: str, roles: list[str], holds: str) -> dict[str, Any]:
    return {"worse": worse, "better": better, "roles": roles, "holds": holds}


DELETION: dict[str, Any] = {
    "direction": Direction.DIRECTION_LOWER_IS_BETTER,
    "scores": {
        "random": score(0.5, 0.4, 0.6),
        "centre": score(0.3),
        "saliency": score(0.2),
        "grad_cam": score(1234.5),
        "rise": {"value": None, "lower": None, "upper": None},
    },
    "steps": [
        step("random", "centre", ["random", "blind"], "UNDECIDED"),
        step("random", "saliency", ["random", "explainer"], "HOLDS"),
        step("random", "grad_cam", ["random", "explainer"], "VIOLATED"),
        step("centre", "saliency", ["blind", "explainer"], "VIOLATED"),
        step("edges", "saliency", ["blind", "explainer"], "HOLDS"),
        step("random", "occlusion", ["random", "oracle"], "HOLDS"),
    ],
}


def test_the_page_is_what_was_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = json.loads(SCORES.read_text(encoding="utf-8"))
    assert filled(text, found) == text


def test_a_row_holds_the_maps_the_best_first_and_what_was_found_of_each_order() -> None:
    _, name, maps, *found = (cell.strip() for cell in ordering("deletion", DELETION).split("|"))
    assert name == "[deletion](metrics/faithfulness/deletion.md)"
    assert maps == "saliency 0.2, centre 0.3, random 0.5 [0.4, 0.6], grad_cam 1234"
    assert found == ["?", "1 of 2, 1 reversed", "reversed", "yes", "", ""]


def test_a_category_counts_metrics_of_which_an_explainer_is_found_better() -> None:
    reversed_only = {**DELETION, "steps": [DELETION["steps"][3]]}
    (row,) = counts({"deletion": DELETION, "insertion": reversed_only})
    assert row == ("| faithfulness | 2 | 0 of 1 | 1 of 1 | 0 of 2, 2 reversed | 1 of 1 |  |")


def test_gains_of_the_models_own_answers_have_their_intervals() -> None:
    own = step("random", "occlusion", ["random", "oracle"], "HOLDS")
    own |= {"gain": 0.25, "lower": None, "upper": None}
    cam = step("centre", "grad_cam", ["blind", "explainer"], "UNDECIDED")
    cam |= {"gain": -1, "lower": -2, "upper": 0.5}
    row = gains("deletion", {"removal": "grey", "steps": [own, cam]})
    assert row.split("|")[2:-1] == [" grey ", " 0.25 ", "  ", "  ", " -1 [-2, 0.5] "]
