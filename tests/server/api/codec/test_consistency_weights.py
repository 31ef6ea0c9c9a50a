"""Which result's weights are sent, and what is sent of it."""

from dataclasses import replace

import pytest

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import Deletion, ExplanationConsistency
from heatproof.evaluators.removal import Black
from heatproof.server.api.codec.consistency_weights import consistency_weight, weighing_result
from heatproof.v1.evaluation_service_pb2 import ListConsistencyWeightsRequest
from heatproof.v1.results_pb2 import ImageResult, ImageScore, Score, Undefined

SPEC = EvaluationSpec(
    models=("models/a", "models/b"),
    preprocessing=PRESETS["unit"],
    metrics=(Deletion(), ExplanationConsistency()),
    explainers=(Random(), Centre()),
    removals=(Black(),),
)


def asked(result: int | None = None) -> ListConsistencyWeightsRequest:
    return ListConsistencyWeightsRequest(name="evaluations/e", result=result)


def test_the_only_result_needs_no_name() -> None:
    one = replace(SPEC, models=("models/a",), explainers=(Centre(),))
    assert weighing_result(one, asked()) == 1
    assert weighing_result(one, asked(1)) == 1


@pytest.mark.parametrize("result", [2, 3, 6, 7])
def test_a_result_is_chosen_by_its_index(result: int) -> None:
    assert weighing_result(SPEC, asked(result)) == result


@pytest.mark.parametrize("result", [None, 0, 4, 8, -1])
def test_several_are_listed_where_none_of_them_is_named(result: int | None) -> None:
    with pytest.raises(InvalidArgumentError, match=r"2 \(models/a, random\), 3") as caught:
        weighing_result(SPEC, asked(result))
    assert caught.value.field == "result"


def test_an_evaluation_without_the_metric_has_no_weights() -> None:
    with pytest.raises(FailedPreconditionError, match="explanation_consistency"):
        weighing_result(replace(SPEC, metrics=(Deletion(),)), asked())


def image(score: Score, weight: Score, flipped: Score) -> ImageResult:
    parts = {"training_weight": weight, "flipped": flipped}
    scores = [ImageScore(result=0), ImageScore(result=3, score=score, parts=parts)]
    return ImageResult(image="ab", display_name="x.png", scores=scores)


def test_a_weight_is_the_part_of_its_result() -> None:
    found = consistency_weight(image(Score(value=0), Score(value=1), Score(value=1)), 3)
    assert found is not None
    assert (found.image, found.display_name, found.weight) == ("ab", "x.png", 1)
    assert found.flipped
    assert not found.HasField("undefined")
    assert consistency_weight(ImageResult(), 3) is None


def test_an_image_without_a_score_has_a_reason_and_no_weight() -> None:
    reason = Score(undefined=Undefined(reason="NO_OBJECT", detail="why"))
    found = consistency_weight(image(reason, reason, reason), 3)
    assert found is not None
    assert not found.HasField("weight")
    assert not found.HasField("flipped")
    assert found.undefined.reason == "NO_OBJECT"
