"""Metrics in words: as few parameters as tell them apart, and none of them long."""

import pytest

from heatproof.client.documents.captions import Captions, caption
from heatproof.v1.metrics.agreement_pb2 import (
    AGREEMENT_AGAINST_EXPLAINER,
    AGREEMENT_AGAINST_MODELS,
)
from heatproof.v1.metrics_pb2 import Metric
from heatproof.v1.results_pb2 import MetricResult


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deletion": {"grid": 7, "steps": 14}}, "deletion (grid 7, steps 14)"),
        ({"segment_removal": {"similarity": {}}}, "segment_removal"),
        (
            {
                "segment_removal": {
                    "fractions": 5,
                    "similarity": {"classes": 2, "values": 16 * b"0"},
                }
            },
            "segment_removal (fractions 5, similarity classes 2, values of 16 bytes)",
        ),
        (
            {"segment_removal": {"regions": {"grid": {"side": 4}}}},
            "segment_removal (regions grid (side 4))",
        ),
    ],
)
def test_a_metric_is_told_by_what_it_sets(given: dict[str, object], words: str) -> None:
    assert caption(Metric(**given)) == words  # type: ignore[arg-type]  # as the stubs have it


AGREED = [
    {"agreement_spearman": {"against": AGREEMENT_AGAINST_MODELS}},
    {"agreement_top_k": {"against": AGREEMENT_AGAINST_MODELS, "share": 0.1}},
    {"agreement_spearman": {"against": AGREEMENT_AGAINST_EXPLAINER}},
]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (
            AGREED[:2],
            ["agreement_spearman (against models)", "agreement_top_k (against models)"],
        ),
        (AGREED[2:], ["agreement_spearman"]),
        (
            [AGREED[0], AGREED[2]],
            ["agreement_spearman (against models)", "agreement_spearman (against explainer)"],
        ),
    ],
)
def test_that_maps_of_other_models_are_meant_is_said_even_where_all_results_are_of_these(
    held: list[dict[str, dict[str, object]]], words: list[str]
) -> None:
    results = [MetricResult(metric=given) for given in held]
    captions = Captions.of([], results)
    assert [captions.short(result.metric) for result in results] == words
