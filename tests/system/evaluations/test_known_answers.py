"""Each query once: what a server has answered before takes no pass, and changes no bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from heatproof.v1 import evaluation_pb2, evaluation_service_pb2, image_pb2, model_service_pb2
from tests.system.evaluations.colour_server import Evaluating, evaluating, square
from tests.system.evaluations.test_determinism import everything

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


def test_another_size_of_threads_is_another_context(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        run, _, first = ended(served, served.spec())
    with keeping(tmp_path, threads=2) as served:
        assert ended(served, served.spec()) == (run, 0, first)


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


def test_models_of_a_panel_are_believed_in_it_alone(tmp_path: Path) -> None:
    with keeping(tmp_path) as served:
        panel = served.spec(served.sound, served.crippled)
        run, known, first = ended(served, panel)
        assert known == 0
        assert ended(served, panel) == (0, run, first)
        alone, believed, _ = ended(served, served.spec())  # the other one was in the same process
        assert believed == 0
    with keeping(tmp_path / "later") as served:
        ended(served, served.spec())
        assert ended(served, panel) == (run - alone, alone, first)


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
