from types import SimpleNamespace
from typing import Any

import pytest

from heatproof.evaluators.errors import UnknownNameError
from heatproof.server.api.codec.evaluation_messages import listed_results
from heatproof.server.api.codec.evaluations import fitted
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.evaluation_service_pb2 import ListMetricResultsRequest
from heatproof.v1.results_pb2 import MetricResult

CURVE = {"fractions": [0, 1], "values": [1, 0]}
RESULTS = [
    MetricResult(
        models=["models/a"], metric=metric, explainer=explainer, curves={"deletion": CURVE}
    )
    for metric in ({"deletion": {}}, {"custom": {"name": "mine"}})
    for explainer in ({"rise": {}}, {"grad_cam": {}})
]
STORED: Any = SimpleNamespace(results=Evaluation(results=RESULTS).SerializeToString())


def listed(**filters: Any) -> list[MetricResult]:
    return listed_results(STORED, ListMetricResultsRequest(name="evaluations/e", **filters))


@pytest.mark.parametrize(
    ("filters", "indices"),
    [
        ({}, [0, 1, 2, 3]),
        ({"metrics": ["deletion"]}, [0, 1]),
        ({"metrics": ["mine"], "explainers": ["rise"]}, [2]),
        ({"metrics": ["mine", "deletion"], "explainers": ["grad_cam"]}, [1, 3]),
        ({"models": ["models/a"]}, [0, 1, 2, 3]),
    ],
)
def test_filters_keep_what_matches_and_the_place_of_each_result(
    filters: Any, indices: list[int]
) -> None:
    assert [result.index for result in listed(**filters)] == indices


def test_curves_come_with_the_full_view_alone() -> None:
    assert not any(result.curves for result in listed(view="VIEW_BASIC"))
    assert all(result.curves for result in listed(view="VIEW_FULL"))


def test_a_name_that_no_result_has_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="deletion") as caught:
        listed(metrics=["mine", "deletoin"])
    assert caught.value.field == "metrics[1]"


def test_results_of_any_number_leave_an_evaluation_that_fits_a_reply() -> None:
    one = MetricResult(metric={"deletion": {}}, curves={"deletion": CURVE})
    one.summary.undefined["x" * 100] = 1
    message = Evaluation(name="evaluations/e", results=[one] * (MAX_REPLY_BYTES // 100))
    assert message.ByteSize() > MAX_REPLY_BYTES
    found = fitted(message)
    assert found.name
    assert 0 < found.ByteSize() <= MAX_REPLY_BYTES
