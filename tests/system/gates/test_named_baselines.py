"""Baselines of a server by name, over real sockets and restarts."""

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from heatproof.v1 import baseline_service_pb2 as pb
from heatproof.v1 import (
    baseline_service_pb2_grpc,
    dataset_service_pb2,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    gate_pb2,
    model_service_pb2,
)
from tests.system.evaluations.colour_server import Evaluating, evaluating, square
from tests.system.refusals import refused
from tests.system.serving import serving, settings_for

MAIN = "baselines/main"


@contextmanager
def refuses(code: str, told: str) -> Iterator[None]:
    """Expects the call inside to be refused with a code and a message."""
    with refused() as refusal:
        yield
    assert refusal.code.name == code, refusal.message
    assert re.search(told, refusal.message)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluating]:
    with evaluating(tmp_path_factory.mktemp("baselines")) as served:
        yield served


@pytest.fixture(scope="module")
def baselines(served: Evaluating) -> Iterator[Any]:
    with grpc.insecure_channel(served.address) as channel:
        yield baseline_service_pb2_grpc.BaselineServiceStub(channel)


@pytest.fixture(scope="module")
def sound(served: Evaluating) -> str:
    return served.create_and_end(served.spec())


@pytest.fixture(scope="module")
def crippled(served: Evaluating) -> str:
    return served.create_and_end(served.spec(served.crippled))


def policy(served: Evaluating, **check: Any) -> gate_pb2.Policy:
    spec = served.spec()
    return gate_pb2.Policy(
        model={"preprocessing": spec.preprocessing},
        explainers=spec.explainers,
        removals=spec.removals,
        seed=spec.seed,
        checks=[{"metric": spec.metrics[0], **check}],
    )


def gate(served: Evaluating, name: str, rules: gate_pb2.Policy, **rest: Any) -> gate_pb2.Verdict:
    request = evaluation_service_pb2.GateEvaluationRequest(name=name, policy=rules, **rest)
    verdict: gate_pb2.Verdict = served.stub.GateEvaluation(request, timeout=60)
    return verdict


def changed(verdict: gate_pb2.Verdict) -> dict[str, tuple[str, str]]:
    return {one.setting: (one.baseline, one.candidate) for one in verdict.settings}


def test_a_candidate_is_held_against_the_evaluation_that_a_baseline_names(
    served: Evaluating, baselines: Any, sound: str, crippled: str
) -> None:
    before = policy(served, max_regression=0.05, min=0.2)
    held = baselines.SetBaseline(
        pb.SetBaselineRequest(name=MAIN, evaluation=sound, note="release 1", policy=before)
    )
    assert (held.revision.name, held.revision.model) == (f"{MAIN}@1", served.sound)
    assert (held.revision.note, held.revision.stored) == ("release 1", True)

    rules = policy(served, max_regression=0.05, min=0.1)
    same = gate(served, sound, rules, named_baseline=MAIN)
    worse = gate(served, crippled, rules, named_baseline=f"{MAIN}@1")

    assert (same.outcome, same.baseline) != (gate_pb2.Verdict.OUTCOME_FAIL, "")
    assert same.baseline == worse.baseline == f"{MAIN}@1"
    regression = gate_pb2.CheckResult.KIND_REGRESSION
    (drop,) = (c.regression.drop for c in same.checks if c.kind == regression)
    assert drop == 0
    assert worse.outcome == gate_pb2.Verdict.OUTCOME_FAIL
    assert changed(same) == {"policy.checks[0].min": ("0.2", "0.1")}
    assert changed(worse) == {
        "evaluation": (sound, crippled),
        "model": (served.sound, served.crippled),
        "policy.checks[0].min": ("0.2", "0.1"),
    }


def test_a_verdict_is_that_of_the_recorded_evaluation(
    served: Evaluating, baselines: Any, sound: str, crippled: str
) -> None:
    baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/same", evaluation=sound))
    found = served.end(sound)
    recorded = gate_pb2.Baseline(
        model=served.sound, evaluation=found, image_results=served.images(sound)
    )
    rules = policy(served, max_regression=0.05)

    by_name = gate(served, crippled, rules, named_baseline="baselines/same")
    by_record = gate(served, crippled, rules, recorded_baseline=recorded)

    assert (by_name.baseline, by_record.baseline) == ("baselines/same@1", sound)
    by_name.ClearField("baseline")
    by_record.ClearField("baseline")
    assert by_name == by_record


def grouped(served: Evaluating, groups: str) -> str:
    """A data set of one picture a letter, which names the group of the picture."""
    images = [
        dataset_service_pb2.UploadDatasetRequest(image={"encoded": square(place), "group": group})
        for place, group in enumerate(groups)
    ]
    header = dataset_service_pb2.UploadDatasetRequest(header={})
    return str(served.datasets.UploadDataset(iter([header, *images]), timeout=60).name)


def test_groups_that_pair_images_are_held_against_the_baselines_before_anything_runs(
    served: Evaluating, baselines: Any
) -> None:
    concordance = {"concordance": {"sizes": [112]}}
    same, other = (grouped(served, groups) for groups in ("aabbccdd", "abababab"))
    asked = {"metrics": [concordance], "explainers": []}
    held = served.create_and_end(served.spec(dataset=same, **asked))
    baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/groups", evaluation=held))
    rules = policy(served, max_regression=0.5)
    rules.checks[0].metric.CopyFrom(served.spec(**asked).metrics[0])
    recorded = gate_pb2.Baseline(
        model=served.sound, evaluation=served.end(held), image_results=served.images(held)
    )
    for against in ({"named_baseline": "baselines/groups"}, {"recorded_baseline": recorded}):
        for dataset, fits in ((same, True), (other, False)):
            spec = served.spec(dataset=dataset, **asked)
            request = evaluation_service_pb2.CreateEvaluationRequest(
                spec=spec, policy=rules, validate_only=True, **against
            )
            if fits:
                served.stub.CreateEvaluation(request, timeout=60)
                continue
            with refuses("FAILED_PRECONDITION", r"groups \(of \d of 8 images"):
                served.stub.CreateEvaluation(request, timeout=60)


def test_a_policy_of_another_seed_is_refused_before_anything_runs(served: Evaluating) -> None:
    rules = policy(served, min=0.1)
    rules.seed += 1
    request = evaluation_service_pb2.CreateEvaluationRequest(spec=served.spec(), policy=rules)
    with refuses("FAILED_PRECONDITION", r"seed \(3 → 4\)|seed \(4 → 3\)"):
        served.stub.CreateEvaluation(request, timeout=60)


def test_a_policy_too_large_to_be_kept_is_refused(
    served: Evaluating, baselines: Any, sound: str
) -> None:
    rules = policy(served, min=0.1)
    rules.checks[0].explainer.grad_cam.tensor = "t" * 300
    rules.checks.extend([rules.checks[0]] * 900)
    request = pb.SetBaselineRequest(name="baselines/large", evaluation=sound, policy=rules)
    with refuses("RESOURCE_EXHAUSTED", "has at most 262144"):
        baselines.SetBaseline(request)


def test_a_gate_names_the_field_of_a_baseline_that_is_not_there(
    served: Evaluating, sound: str
) -> None:
    with refused() as refusal:
        gate(served, sound, policy(served, min=0.1), named_baseline="baselines/absent")
    assert refusal.code.name == "NOT_FOUND"
    assert refusal.field == "named_baseline"


def test_a_baseline_of_another_spec_is_refused_before_anything_runs(
    served: Evaluating, baselines: Any, sound: str
) -> None:
    baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/spec", evaluation=sound))
    for change, told in (({"seed": 4}, r"seed \(3 → 4\)"), ({"dataset": served.others}, "images")):
        rules = policy(served, max_regression=0.05)
        rules.seed = int(change.get("seed", 3))
        request = evaluation_service_pb2.CreateEvaluationRequest(
            spec=served.spec(**change), policy=rules, named_baseline="baselines/spec"
        )
        with refuses("FAILED_PRECONDITION", told):
            served.stub.CreateEvaluation(request, timeout=60)


def test_what_a_baseline_names_is_not_deleted_but_may_lose_its_model(tmp_path: Path) -> None:
    with evaluating(tmp_path) as served, grpc.insecure_channel(served.address) as channel:
        stub: Any = baseline_service_pb2_grpc.BaselineServiceStub(channel)
        sound = served.create_and_end(served.spec())
        name = served.create_and_end(served.spec(served.crippled))
        stub.SetBaseline(pb.SetBaselineRequest(name=MAIN, evaluation=name))
        doomed = evaluation_service_pb2.DeleteEvaluationRequest(name=name)
        with refuses("FAILED_PRECONDITION", told="baselines/main has been set to"):
            served.stub.DeleteEvaluation(doomed)
        served.models.DeleteModel(model_service_pb2.DeleteModelRequest(name=served.crippled))

        rules = policy(served, max_regression=0.05)
        verdict = gate(served, sound, rules, named_baseline=MAIN)

        assert changed(verdict)["model"] == (served.crippled, served.sound)
        stub.SetBaseline(pb.SetBaselineRequest(name=MAIN, evaluation=sound))
        served.stub.DeleteEvaluation(doomed)
        page = stub.ListBaselineRevisions(pb.ListBaselineRevisionsRequest(name=MAIN))
        assert [(one.revision, one.stored) for one in page.revisions] == [(2, True), (1, False)]
        with refuses("NOT_FOUND", told="only the newest revision"):
            gate(served, sound, rules, named_baseline=f"{MAIN}@1")


def test_two_clients_that_expect_the_same_revision_do_not_overwrite_each_other(
    served: Evaluating, baselines: Any, sound: str
) -> None:
    del baselines

    def update(place: int) -> str:
        with grpc.insecure_channel(served.address) as channel:
            stub: Any = baseline_service_pb2_grpc.BaselineServiceStub(channel)
            request = pb.SetBaselineRequest(
                name="baselines/race", evaluation=sound, note=f"{place}", expected_revision=0
            )
            try:
                return f"revision {stub.SetBaseline(request, timeout=60).revision.revision}"
            except grpc.RpcError as error:
                return str(error.code().name)

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(update, range(4)))
    assert outcomes == ["ABORTED", "ABORTED", "ABORTED", "revision 1"]


@pytest.mark.parametrize(
    ("request_", "code", "told"),
    [
        ({"name": "main"}, "INVALID_ARGUMENT", "not the name of one of the baselines"),
        ({"evaluation": ""}, "INVALID_ARGUMENT", "evaluation is required"),
        ({"evaluation": "evaluations/" + 20 * "a"}, "NOT_FOUND", "there is no evaluations/a"),
        ({"note": "a\nb"}, "INVALID_ARGUMENT", "control character"),
        ({"note": 1001 * "a"}, "INVALID_ARGUMENT", "at most 1000"),
        ({"model": "models/x"}, "INVALID_ARGUMENT", "no model of the evaluation"),
        ({"expected_revision": -1}, "INVALID_ARGUMENT", "at least 0"),
        ({"expected_revision": 7}, "ABORTED", "does not exist"),
        ({"policy": gate_pb2.Policy()}, "INVALID_ARGUMENT", "checks is required"),
    ],
)
def test_bad_settings_are_refused(
    baselines: Any, sound: str, request_: dict[str, Any], code: str, told: str
) -> None:
    usual = {"name": "baselines/refused", "evaluation": sound}
    with refuses(code, told):
        baselines.SetBaseline(pb.SetBaselineRequest(**{**usual, **request_}))
    with refuses("NOT_FOUND", told="there is no baselines/refused"):
        baselines.GetBaseline(pb.GetBaselineRequest(name="baselines/refused"))


def test_an_evaluation_that_runs_is_no_baseline(served: Evaluating, baselines: Any) -> None:
    name = served.create(served.spec(metrics=[{"insertion": {"grid": 4, "steps": 16}}]))
    served.stub.CancelEvaluation(evaluation_service_pb2.CancelEvaluationRequest(name=name))
    with refuses("FAILED_PRECONDITION", told="can be a baseline"):
        baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/early", evaluation=name))


def test_the_nearest_names_are_offered(served: Evaluating, baselines: Any, sound: str) -> None:
    baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/release", evaluation=sound))
    with refuses("NOT_FOUND", told=r"did you mean baselines/release\?"):
        gate(served, sound, policy(served, min=0), named_baseline="baselines/releas")


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"checks": [{"metric": {"deletion": {}}, "min": 0}]}, "INVALID_ARGUMENT", "deletion"),
        ({"explainers": [{"saliency": {}}]}, "INVALID_ARGUMENT", "not with saliency"),
        ({"removals": [{"white": {}}]}, "INVALID_ARGUMENT", "not with white"),
        ({"seed": 8}, "FAILED_PRECONDITION", r"seed \(3 → 8\)"),
        ({"target": {"label": {}}}, "FAILED_PRECONDITION", "target"),
        ({"model": {"preprocessing": {"preset": "tf"}}}, "FAILED_PRECONDITION", "preprocessing"),
        ({"clean_accuracy": {"min": 0.5}}, "PASS", ""),
    ],
)  # fmt: skip
def test_stored_results_are_judged_by_what_they_hold(
    served: Evaluating, sound: str, change: dict[str, Any], code: str, told: str
) -> None:
    rules = policy(served, min=0.1)
    for name, value in change.items():
        rules.ClearField(name)
        rules.MergeFrom(gate_pb2.Policy(**{name: value}))
    if code == "PASS":
        assert len(gate(served, sound, rules).checks) == 2
        return
    with refuses(code, told):
        gate(served, sound, rules)


def test_baselines_survive_a_restart_and_belong_to_their_server(tmp_path: Path) -> None:
    with evaluating(tmp_path / "first") as first:
        name = first.create_and_end(first.spec())
        with grpc.insecure_channel(first.address) as channel:
            stub: Any = baseline_service_pb2_grpc.BaselineServiceStub(channel)
            before = stub.SetBaseline(pb.SetBaselineRequest(name=MAIN, evaluation=name))
            rules = policy(first, max_regression=0.05)
            verdict = gate(first, name, rules, named_baseline=MAIN)
    with serving(settings_for(tmp_path / "first" / "data", retention_days=1)) as again:
        stub = baseline_service_pb2_grpc.BaselineServiceStub(again.channel)
        assert stub.GetBaseline(pb.GetBaselineRequest(name=MAIN)) == before
        request = evaluation_service_pb2.GateEvaluationRequest(
            name=name, policy=rules, named_baseline=MAIN
        )
        evaluations: Any = evaluation_service_pb2_grpc.EvaluationServiceStub(again.channel)
        assert evaluations.GateEvaluation(request, timeout=60) == verdict
    with serving(settings_for(tmp_path / "second")) as other:
        stub = baseline_service_pb2_grpc.BaselineServiceStub(other.channel)
        assert not stub.ListBaselines(pb.ListBaselinesRequest()).baselines
        with refuses("NOT_FOUND", told="there is no baselines/main"):
            stub.DeleteBaseline(pb.DeleteBaselineRequest(name=MAIN))


def test_a_retry_finds_its_evaluation_when_the_baseline_has_gone(
    served: Evaluating, baselines: Any, sound: str
) -> None:
    baselines.SetBaseline(pb.SetBaselineRequest(name="baselines/passing", evaluation=sound))

    def create(request_id: str, **changes: Any) -> str:
        rules = policy(served, max_regression=0.05)
        rules.seed = changes.get("seed", rules.seed)
        request = evaluation_service_pb2.CreateEvaluationRequest(
            spec=served.spec(**changes),
            policy=rules,
            request_id=request_id,
            named_baseline="baselines/passing",
        )
        return str(served.stub.CreateEvaluation(request, timeout=60).evaluation.name)

    first = create(str(uuid.UUID(int=1)))
    baselines.DeleteBaseline(pb.DeleteBaselineRequest(name="baselines/passing"))
    assert create(str(uuid.UUID(int=1))) == first
    with refuses("ABORTED", "another spec"):
        create(str(uuid.UUID(int=1)), seed=4)
    with refuses("NOT_FOUND", "baselines/passing"):
        create(str(uuid.UUID(int=2)))
