"""Each query once: what a server has answered before takes no pass, and changes no bit."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from heatproof.v1 import (
    evaluation_pb2,
    evaluation_service_pb2,
    explainers_pb2,
    explanation_service_pb2,
    image_pb2,
    model_service_pb2,
)
from tests.system.evaluations.colour_server import Evaluating, evaluating, network, square
from tests.system.evaluations.test_determinism import everything
from tests.system.payloads import upload

KEPT = {"answers_bytes": 1 << 30}
RISE = {"explainers": [{"grad_cam": {}}, {"rise": {"masks": 6, "grid": 4}}]}


@contextmanager
def keeping(folder: Path, **changes: Any) -> Iterator[Evaluating]:
    with evaluating(folder, images=3, **{**KEPT, **changes}) as served:
        yield served


def ended(served: Evaluating, spec: evaluation_pb2.EvaluationSpec) -> tuple[int, int, list[bytes]]:
    """Predictions that were run, those that were known, and the results of the images."""
    name = served.create(spec)
    progress = served.end(name, timeout=200).progress
    images = [one.SerializeToString(deterministic=True) for one in served.images(name)]
    known = progress.predictions_known
    return progress.predictions_done - known, known, images


def replaced(spec: evaluation_pb2.EvaluationSpec, **changes: Any) -> evaluation_pb2.EvaluationSpec:
    other = evaluation_pb2.EvaluationSpec(**changes)
    other.MergeFrom(spec)
    return other


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "answers").rglob("*.answers"))


def test_the_same_evaluation_twice_makes_no_pass_and_equal_bits(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        run, known, first = ended(served, served.spec())
        assert run > 0
        assert known == 0
        assert ended(served, served.spec()) == (0, run, first)


def test_pictures_that_are_derived_are_known_too(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        _, _, first = ended(served, served.spec(**RISE))
        again, _, images = ended(served, served.spec(**RISE))
        assert again == 0
        assert images == first


def test_no_cache_runs_all_and_keeps_nothing(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        run, _, first = ended(served, served.spec(no_cache=True))
        assert not segments(tmp_path)
        assert ended(served, served.spec(no_cache=True)) == (run, 0, first)
        assert ended(served, served.spec()) == (run, 0, first)
        assert ended(served, served.spec(no_cache=True)) == (run, 0, first)


def test_one_more_metric_pays_for_its_own_queries_alone(tmp_path: Path) -> None:
    insertion, deletion = ({name: {"grid": 4, "steps": 4}} for name in ("insertion", "deletion"))
    with keeping(tmp_path) as served:
        both = served.spec(metrics=[insertion, deletion], no_cache=True)
        together, _, expected = ended(served, both)
        alone, _, _ = ended(served, served.spec(metrics=[insertion]))
        added = ended(served, served.spec(metrics=[insertion, deletion]))
    assert added == (together - alone, alone, expected)
    assert 0 < together - alone < together


@pytest.mark.parametrize(
    "change",
    [
        {"preprocessing": {"resize": "RESIZE_NONE", "scale": 200}},
        {"activation": "ACTIVATION_SIGMOID_LOGITS"},
        {"removals": [{"mean": {}}], "explainers": [{"random": {}}], "seed": 4},
    ],
    ids=["preprocessing", "class output", "operator and seed"],
)
def test_what_changes_an_answer_makes_it_unknown(tmp_path: Path, change: dict[str, Any]) -> None:
    random = {"explainers": [{"random": {}}]}
    with keeping(tmp_path) as served:
        before, _, _ = ended(served, served.spec(**random))
        run, known, _ = ended(served, served.spec(**{**random, **change}))
    clean = 3 if "removals" in change else 0  # pictures of which nothing is removed stay known
    assert known <= clean
    assert run + known >= before - clean


def test_another_model_and_other_images_are_unknown(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        run, _, _ = ended(served, served.spec())
        assert ended(served, served.spec(served.crippled))[:2] == (run, 0)
        assert ended(served, served.spec(dataset=served.others))[1] == 0


def test_answers_survive_a_restart_and_go_with_their_model(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        run, _, first = ended(served, served.spec())
        name = served.create_and_end(served.spec())
    with keeping(tmp_path) as served:
        assert ended(served, served.spec()) == (0, run, first)
        served.stub.DeleteEvaluation(evaluation_service_pb2.DeleteEvaluationRequest(name=name))
        served.models.DeleteModel(model_service_pb2.DeleteModelRequest(name=served.sound))
        assert not segments(tmp_path)


@pytest.mark.parametrize("setting", [{"threads": 2}, {"batch_rows": "4"}], ids=str)
def test_what_changes_no_bit_leaves_answers_known(tmp_path: Path, setting: dict[str, Any]) -> None:
    with keeping(tmp_path, threads=1) as served:
        run, _, first = ended(served, served.spec())
    with keeping(tmp_path, **{"threads": 1, **setting}) as served:
        assert ended(served, served.spec()) == (0, run, first)


@pytest.mark.parametrize("cut", [0, 20, -1], ids=["empty", "in the index", "in an answer"])
def test_a_damaged_file_is_computed_anew_and_goes(tmp_path: Path, cut: int) -> None:
    with keeping(tmp_path) as served:
        run, _, first = ended(served, served.spec())
        damaged = segments(tmp_path)[0]
        damaged.write_bytes(damaged.read_bytes()[:cut])
        again, known, images = ended(served, served.spec())
        assert 0 < again < run
        assert again + known == run
        assert images == first
        assert damaged not in segments(tmp_path)
        assert ended(served, served.spec()) == (0, run, first)


def test_what_somebody_deletes_meanwhile_is_computed_anew_and_kept(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        compared = [{"inter_model_deletion": {"grid": 4, "steps": 4}}]
        both = served.spec(served.sound, served.crippled, metrics=compared)
        run, _, first = ended(served, both)
        for folder in (tmp_path / "data" / "answers").iterdir():
            shutil.rmtree(folder)
        assert ended(served, both) == (run, 0, first)
        assert ended(served, both) == (0, run, first)


def test_a_baseline_is_paid_once_for_all_candidates(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        candidates = [served.sound, served.models.UploadModel(iter(upload(network(10.0)))).name]
        both = [served.spec(one, served.crippled) for one in candidates]
        expected = [ended(served, replaced(spec, no_cache=True)) for spec in both]
        run, known, first = ended(served, both[0])
        assert (run, known, first) == expected[0]
        assert ended(served, both[0]) == (0, run, first)

        of_baseline, _, _ = ended(served, served.spec(served.crippled, no_cache=True))
        later, believed, second = ended(served, both[1])
        assert (later + believed, second) == (expected[1][0], expected[1][2])
        assert believed == of_baseline > 0
        for alone in (candidates[0], served.crippled, candidates[1]):
            assert ended(served, served.spec(alone))[0] == 0


@pytest.mark.parametrize(
    "comparing",
    [
        {"metrics": [{"inter_model_deletion": {"grid": 4, "steps": 4}}]},
        {"metrics": [{"agreement_spearman": {}}], "removals": []},
    ],
    ids=["one score of all models", "maps of all models"],
)
def test_what_compares_models_is_asked_of_them_together(
    tmp_path: Path, comparing: dict[str, Any]
) -> None:
    with keeping(tmp_path) as served:
        panel = served.spec(served.sound, served.crippled, **comparing)
        expected = ended(served, replaced(panel, no_cache=True))
        assert ended(served, panel) == expected
        assert ended(served, panel) == (0, expected[0], expected[2])


def test_an_evaluator_is_asked_about_the_maps_of_others(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        both = served.spec(served.sound, served.crippled, evaluator_model=served.crippled)
        expected = ended(served, replaced(both, no_cache=True))
        assert ended(served, both) == expected
        assert ended(served, both) == (0, expected[0], expected[2])


def test_an_explanation_fills_and_reads_what_is_kept(tmp_path: Path) -> None:
    def explain(served: Evaluating, **changes: Any) -> list[bytes]:
        images = [image_pb2.Image(encoded=square(seed)) for seed in range(3)]
        request = explanation_service_pb2.ExplainRequest(
            model=served.sound,
            preprocessing={"resize": "RESIZE_NONE"},
            explainers=[explainers_pb2.Explainer(rise={"masks": 6, "grid": 4})],
            images=images,
            seed=3,
            **changes,
        )
        found = served.explanations.Explain(request, timeout=60)
        return [one.SerializeToString(deterministic=True) for one in found]

    spec: dict[str, Any] = {"explainers": [{"rise": {"masks": 6, "grid": 4}}]}
    with keeping(tmp_path) as served:
        expected = explain(served, no_cache=True)
        assert not segments(tmp_path)
        assert explain(served) == expected
        kept = segments(tmp_path)
        assert kept
        assert explain(served) == expected
        assert segments(tmp_path) == kept
        run, known, _ = ended(served, served.spec(**spec))
        assert known > 3 * 6  # the clean answers too
        assert run == 3 * 4  # the steps of insertion but the last, which shows all


def test_an_inline_evaluation_reads_what_is_kept_and_keeps_nothing(tmp_path: Path) -> None:
    def evaluate(served: Evaluating) -> evaluation_pb2.Progress:
        images = [image_pb2.Image(encoded=square(seed)) for seed in range(3)]
        spec = served.spec(dataset="")
        request = evaluation_service_pb2.EvaluateRequest(spec=spec, images=images)
        found: evaluation_pb2.Progress = served.stub.Evaluate(
            request, timeout=60
        ).evaluation.progress
        return found

    with keeping(tmp_path) as served:
        assert evaluate(served).predictions_known == 0
        assert not segments(tmp_path)
        run, _, _ = ended(served, served.spec())
        assert evaluate(served).predictions_known == run


def test_a_server_that_keeps_nothing_has_no_files(tmp_path: Path) -> None:
    with keeping(tmp_path, answers_bytes=0) as served:
        run, _, first = ended(served, served.spec())
        assert ended(served, served.spec()) == (run, 0, first)
    assert not (tmp_path / "data" / "answers").exists()


def test_everything_is_alike_when_its_answers_are_known(tmp_path: Path) -> None:
    fresh = everything(tmp_path, **KEPT)
    known = everything(tmp_path, **KEPT)
    assert [which for which, held in fresh.items() if known[which] != held] == []
