"""How many batches a run takes is measured once, and no bit of a score depends on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from heatproof.v1 import evaluation_pb2, model_service_pb2
from heatproof.v1 import evaluation_service_pb2 as service_pb2
from tests.system.evaluations.colour_server import Evaluating, evaluating

LONG = {"metrics": [{"insertion": {"grid": 16, "steps": 256}}], "no_cache": True}
SHORT = {"metrics": [{"insertion": {"grid": 8, "steps": 16}}], "no_cache": True}
TRIES = 5


def database(folder: Path) -> Path:
    return folder / "data" / "heatproof.sqlite"


def kept(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(database(folder))) as connection:
        return connection.execute("SELECT model, batches FROM run_sizes").fetchall()


def evaluations(served: Evaluating) -> list[str]:
    reply = served.stub.ListEvaluations(service_pb2.ListEvaluationsRequest(page_size=1000))
    return [evaluation.name for evaluation in reply.evaluations]


def ended(served: Evaluating, spec: evaluation_pb2.EvaluationSpec) -> tuple[str, list[bytes]]:
    """The ways that passes were run, and the results of the images."""
    name = served.create(spec)
    ways = served.end(name).environment["ways_run"]
    return ways, [one.SerializeToString(deterministic=True) for one in served.images(name)]


def test_what_was_measured_is_used_by_the_next_server_and_goes_with_its_model(
    tmp_path: Path,
) -> None:
    with evaluating(tmp_path, images=1) as served:
        _, expected = ended(served, served.spec(**SHORT))
        for _ in range(TRIES):
            ended(served, served.spec(**LONG))
        assert {model for model, _ in kept(tmp_path)} == {served.sound}
    with closing(sqlite3.connect(database(tmp_path))) as connection, connection:
        connection.execute("UPDATE run_sizes SET batches = 4")
    for _ in range(TRIES):  # a run takes no more batches than happen to wait
        with evaluating(tmp_path, images=1) as served:
            ways, images = ended(served, served.spec(**SHORT))
            assert images == expected
        if "plain 8 x" in ways:
            break
    assert "plain 8 x" in ways
    with evaluating(tmp_path, images=1) as served:
        for name in evaluations(served):
            served.stub.DeleteEvaluation(service_pb2.DeleteEvaluationRequest(name=name))
        served.models.DeleteModel(model_service_pb2.DeleteModelRequest(name=served.sound))
        assert kept(tmp_path) == []
