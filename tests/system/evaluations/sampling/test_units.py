"""Evaluations of the first units of a data set, over a real socket."""

import hashlib
from typing import Any

import numpy as np
import pytest

from heatproof.v1 import dataset_service_pb2, evaluation_pb2, gate_pb2, image_pb2
from heatproof.v1 import evaluation_service_pb2 as pb
from tests.system.evaluations.colour_server import Evaluating, square
from tests.system.payloads import dataset, tensor
from tests.system.refusals import refused

SEED, IMAGES, UNITS = 3, 12, 5


def ended(served: Evaluating, **changes: Any) -> evaluation_pb2.Evaluation:
    found: evaluation_pb2.Evaluation = served.end(served.create(served.spec(**changes)))
    return found


def scores(served: Evaluating, name: str) -> dict[str, float]:
    return {image.image: image.scores[0].score.value for image in served.images(name)}


def in_their_order(digests: list[str]) -> list[str]:
    """The seeded order, as `EvaluationSpec.units` describes it."""

    def rank(digest: str) -> bytes:
        return hashlib.sha256(f"heatproof/{SEED}/image/{digest}".encode()).digest()

    return sorted(digests, key=rank)


def test_the_first_units_are_scored_as_in_the_whole_set(served: Evaluating) -> None:
    whole, some = ended(served), ended(served, units=UNITS)

    every, chosen = scores(served, whole.name), scores(served, some.name)
    assert set(chosen) == set(in_their_order(list(every))[:UNITS])
    assert chosen == {digest: every[digest] for digest in chosen}
    assert list(chosen) == [digest for digest in every if digest in chosen]
    assert (some.progress.images_total, some.progress.images_done) == (UNITS, UNITS)
    assert (some.sampling.units, some.sampling.units_left_out) == (UNITS, IMAGES - UNITS)
    assert (whole.sampling.units, whole.sampling.units_left_out) == (IMAGES, 0)
    assert some.results[0].summary.scored == UNITS


def test_more_units_than_there_are_mean_all(served: Evaluating) -> None:
    many = ended(served, units=IMAGES + 1)
    assert (many.sampling.units, many.sampling.units_left_out) == (IMAGES, 0)


def test_groups_are_chosen_whole(served: Evaluating) -> None:
    images = [image_pb2.Image(encoded=square(n), group=str(n // 4)) for n in range(IMAGES)]
    requests = [
        dataset_service_pb2.UploadDatasetRequest(header=dataset_service_pb2.UploadDatasetHeader()),
        *(dataset_service_pb2.UploadDatasetRequest(image=image) for image in images),
    ]
    dataset = served.datasets.UploadDataset(iter(requests), timeout=60).name

    some = ended(served, dataset=dataset, units=2)
    groups = [image.group for image in served.images(some.name)]
    assert sorted(map(groups.count, set(groups))) == [4, 4]
    assert (some.sampling.units, some.sampling.units_left_out) == (2, 1)


def test_a_plan_counts_what_is_chosen_and_knows_what_it_takes(served: Evaluating) -> None:
    ended(served, units=UNITS)

    def planned(**changes: Any) -> Any:
        request = pb.CreateEvaluationRequest(spec=served.spec(**changes), validate_only=True)
        return served.stub.CreateEvaluation(request, timeout=60)

    whole, some = planned(), planned(units=UNITS)
    assert some.predictions * IMAGES == whole.predictions * UNITS
    assert some.evaluation.sampling.units_left_out == IMAGES - UNITS
    seconds = [one.estimated_duration.ToTimedelta().total_seconds() for one in (whole, some)]
    assert seconds[0] == pytest.approx(seconds[1] * IMAGES / UNITS, abs=2e-3)


@pytest.mark.parametrize("units", [-1, -(2**31)])
def test_fewer_than_no_units_are_refused(served: Evaluating, units: int) -> None:
    with refused() as refusal:
        served.create(served.spec(units=units))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert refusal.field == "spec.units"


def test_what_comes_with_a_request_is_evaluated_whole(served: Evaluating) -> None:
    spec = served.spec(dataset="", units=1)
    request = pb.EvaluateRequest(spec=spec, images=[image_pb2.Image(encoded=square(0))])
    with refused() as refusal:
        served.stub.Evaluate(request, timeout=60)
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert "send fewer" in refusal.message


def test_a_part_is_held_against_a_baseline_of_the_whole_but_not_the_other_way(
    served: Evaluating,
) -> None:
    whole = ended(served, models=[served.crippled, served.sound])
    some = ended(served, models=[served.sound, served.crippled], units=UNITS)
    spec = served.spec()
    policy = gate_pb2.Policy(
        model={"preprocessing": spec.preprocessing},
        explainers=spec.explainers,
        removals=spec.removals,
        seed=spec.seed,
        checks=[{"metric": spec.metrics[0], "max_regression": 0.2}],
    )

    def verdict(candidate: str, baseline: str) -> gate_pb2.Verdict:
        recorded = gate_pb2.Baseline(
            evaluation=served.stub.GetEvaluation(pb.GetEvaluationRequest(name=baseline)),
            image_results=served.images(baseline),
            model=served.sound,
        )
        request = pb.GateEvaluationRequest(
            name=candidate, model=served.sound, policy=policy, recorded_baseline=recorded
        )
        found: gate_pb2.Verdict = served.stub.GateEvaluation(request, timeout=60)
        return found

    (check,) = verdict(some.name, whole.name).checks
    assert check.outcome != gate_pb2.CheckResult.OUTCOME_NOT_EVALUATED
    assert f"{UNITS} paired images" in check.message
    with refused() as refusal:
        verdict(whole.name, some.name)
    assert f"{IMAGES - UNITS} only in the candidate" in refusal.message


def test_a_few_units_are_asked_what_the_whole_set_would_be(served: Evaluating) -> None:
    encoded = {hashlib.sha256(square(n)).hexdigest(): square(n) for n in range(IMAGES)}
    without = in_their_order(list(encoded))[:2]
    mask = image_pb2.ObjectMask(frame="FRAME_SOURCE", mask=tensor(np.eye(32), "uint8"))
    images = [
        image_pb2.Image(encoded=data, object_mask=None if digest in without else mask)
        for digest, data in encoded.items()
    ]
    stored = served.datasets.UploadDataset(dataset(*images), timeout=60).name

    some = ended(served, dataset=stored, units=2, metrics=[{"pointing_game": {}}], removals=[])
    summary = some.results[0].summary
    assert (summary.scored, dict(summary.undefined)) == (0, {"NO_OBJECT": 2})
