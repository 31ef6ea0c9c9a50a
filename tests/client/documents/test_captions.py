"""Metrics in words: as few parameters as tell them apart, and none of them long."""

import pytest

from heatproof.client.documents.captions import caption
from heatproof.v1.metrics_pb2 import Metric


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
