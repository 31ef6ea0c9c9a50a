"""Groups and copies on their way from the upload to the verdict, over a real socket."""

from typing import Any

import grpc
import pytest

from heatproof.v1 import dataset_service_pb2, evaluation_pb2, gate_pb2, image_pb2, results_pb2
from heatproof.v1 import evaluation_service_pb2 as pb
from tests.system.evaluations.colour_server import Evaluating, square


def upload(served: Evaluating, *images: image_pb2.Image) -> str:
    header = dataset_service_pb2.UploadDatasetHeader()
    messages = [dataset_service_pb2.UploadDatasetRequest(header=header)]
    messages += [dataset_service_pb2.UploadDatasetRequest(image=image) for image in images]
    name: str = served.datasets.UploadDataset(iter(messages), timeout=60).name
    return name


def grouped(seed: int, group: str) -> image_pb2.Image:
    return image_pb2.Image(encoded=square(seed), group=group)


def ended(served: Evaluating, dataset: str) -> evaluation_pb2.Evaluation:
    found: evaluation_pb2.Evaluation = served.end(served.create(served.spec(dataset=dataset)))
    return found


def plain(result: results_pb2.MetricResult) -> dict[str, Any]:
    summary = result.summary
    return {"value": summary.value, "lower": summary.interval.lower, "n": summary.units}


def test_groups_are_the_unit_from_the_upload_to_the_results(served: Evaluating) -> None:
    images = [grouped(seed, f"scene {seed // 2}") for seed in range(24)]

    by_group = ended(served, upload(served, *images))
    alone = ended(served, upload(served, *(image_pb2.Image(encoded=i.encoded) for i in images)))

    sampling = by_group.sampling
    assert sampling.unit == results_pb2.Sampling.UNIT_GROUP
    assert (sampling.units, sampling.images, sampling.copies) == (12, 24, 0)
    assert [image.group for image in served.images(by_group.name)] == [i.group for i in images]
    (mine,), (theirs,) = by_group.results, alone.results
    assert (mine.summary.units, mine.summary.scored, theirs.summary.units) == (12, 24, 24)
    # Groups move the interval, not the score; their order of summing moves its last digits.
    assert mine.summary.value == pytest.approx(theirs.summary.value, rel=1e-12)
    assert mine.summary.interval.lower != theirs.summary.interval.lower


def test_copies_change_no_statistic_and_are_counted(served: Evaluating) -> None:
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(12)]

    once = ended(served, upload(served, *images))
    thrice = ended(served, upload(served, *images, *images[:5], *images[:2]))

    assert (thrice.sampling.units, thrice.sampling.images, thrice.sampling.copies) == (12, 12, 7)
    assert plain(thrice.results[0]) == plain(once.results[0])
    assert len(served.images(thrice.name)) == 19


def test_the_order_of_the_images_changes_no_statistic(served: Evaluating) -> None:
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(12)]

    forth = ended(served, upload(served, *images))
    back = ended(served, upload(served, *images[::-1]))

    assert plain(back.results[0]) == plain(forth.results[0])


@pytest.mark.parametrize(
    ("images", "field", "fault"),
    [
        ([grouped(0, "a"), grouped(1, "")], "images[1].group", "image 1 has none"),
        ([grouped(0, ""), grouped(1, "a")], "images[1].group", "image 0 has none"),
        ([grouped(0, "a"), grouped(0, "b")], "images[1].group", "the bytes of image 0"),
        ([grouped(0, "a" * 201)], "images[0].group", "201 characters"),
    ],
)
def test_groups_that_leave_the_unit_open_are_refused(
    served: Evaluating, images: list[image_pb2.Image], field: str, fault: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        upload(served, *images)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert fault in refused.value.details()

    request = pb.EvaluateRequest(spec=served.spec(dataset=""), images=images)
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Evaluate(request, timeout=60)
    assert fault in refused.value.details()
    assert field in str(refused.value.trailing_metadata())


def test_fewer_groups_than_asked_for_warn_and_regressions_count_them(served: Evaluating) -> None:
    images = [grouped(seed, f"scene {seed // 2}") for seed in range(24)]
    found = ended(served, upload(served, *images))
    rules = gate_pb2.Policy(
        model={"preprocessing": found.spec.preprocessing},
        explainers=found.spec.explainers,
        removals=found.spec.removals,
        checks=[{"metric": found.spec.metrics[0], "max_regression": 0.1}],
        seed=found.spec.seed,
    )
    baseline = gate_pb2.Baseline(
        model=served.sound, evaluation=found, image_results=served.images(found.name)
    )
    request = pb.GateEvaluationRequest(name=found.name, policy=rules, recorded_baseline=baseline)

    verdict = served.stub.GateEvaluation(request, timeout=60)

    assert "only 12 group(s)" in verdict.warnings[0]
    regression = verdict.checks[0].regression
    assert (regression.pairs, regression.units) == (24, 12)


def test_the_worst_group_is_held_against_the_best_from_the_upload_to_the_verdict(
    served: Evaluating,
) -> None:
    images = [grouped(seed, f"camera {seed % 2}") for seed in range(24)]
    found = ended(served, upload(served, *images))
    rules = gate_pb2.Policy(
        model={"preprocessing": found.spec.preprocessing},
        explainers=found.spec.explainers,
        removals=found.spec.removals,
        checks=[{"metric": found.spec.metrics[0], "max_disparity": 0.9}],
        seed=found.spec.seed,
    )

    request = pb.GateEvaluationRequest(name=found.name, policy=rules)
    (check,) = served.stub.GateEvaluation(request, timeout=60).checks

    held = found.results[0].disparity
    scores: dict[str, list[float]] = {"camera 0": [], "camera 1": []}
    for image in served.images(found.name):
        scores[image.group].append(image.scores[0].score.value)
    means = {name: sum(each) / len(each) for name, each in scores.items()}
    assert held.value == pytest.approx(max(means.values()) - min(means.values()), rel=1e-12)
    assert means[held.worst.group] == min(means.values())
    assert (held.groups, held.worst.summary.units) == (2, 12)
    assert check.kind == gate_pb2.CheckResult.KIND_DISPARITY
    assert check.outcome == gate_pb2.CheckResult.OUTCOME_PASS
    assert check.interval == held.interval


def test_groups_that_a_policy_compares_are_asked_for_before_anything_runs(
    served: Evaluating,
) -> None:
    spec = served.spec()
    rules = gate_pb2.Policy(
        model={"preprocessing": spec.preprocessing},
        explainers=spec.explainers,
        removals=spec.removals,
        checks=[{"metric": spec.metrics[0], "max_disparity": 0.1}],
        seed=spec.seed,
    )
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.CreateEvaluation(
            pb.CreateEvaluationRequest(spec=spec, policy=rules), timeout=60
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "column group" in refused.value.details()
    assert "policy.checks[0].max_disparity" in str(refused.value.trailing_metadata())
