"""What a worker keeps between tasks is bounded, and leaves with its model."""

import hashlib
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from onnx import numpy_helper

from heatproof.evaluators.images.preprocessing import preset
from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Batch
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import MAX_SESSIONS
from heatproof.server.workers.execution.model_cache import ModelCache
from heatproof.server.workers.file_access import SharedFolder
from heatproof.server.workers.inputs import Blob, ModelFiles
from heatproof.server.workers.limits import WorkerSettings


def stored(folder: Path, number: int, side: int = 8) -> ModelFiles:
    """A tiny classifier, another one for each number."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        tiny (float[N, 3, {side}, {side}] image) => (float[N, 4] scores) {{
            p = GlobalAveragePool (image)
            f = Flatten (p)
            scores = MatMul (f, w)
        }}
        """)
    weights = np.random.default_rng(number).normal(size=(3, 4)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    data = model.SerializeToString()
    blob = Blob(hashlib.sha256(data).hexdigest())
    path = SharedFolder(folder).path(blob)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return ModelFiles(f"models/{number}", blob, size_bytes=len(data))


def predict(model_cache: ModelCache, files: ModelFiles) -> None:
    """Runs a task on a model."""
    model_cache.begin_task()
    predictor = model_cache.predictor(files, preset("unit"), Statement(), Cancellation())
    facts = predictor.facts
    images = np.zeros((facts.batch_size, 3, facts.height, facts.width), np.float32)
    predictor.submit(ModelPass(facts.model), Batch(images)).result()


@pytest.fixture
def model_cache(tmp_path: Path) -> ModelCache:
    return ModelCache(WorkerSettings(threads=1), SharedFolder(tmp_path))


@pytest.mark.parametrize(
    ("views", "composes"), [("auto", False), ("graph", True), ("pixels", False)]
)
def test_a_setting_says_what_draws_views_and_is_echoed(
    tmp_path: Path, views: str, *, composes: bool
) -> None:
    cache = ModelCache(WorkerSettings(threads=1, views=views), SharedFolder(tmp_path))
    files = stored(tmp_path, 1)
    predict(cache, files)
    predictor = cache.predictor(files, preset("unit"), Statement(), Cancellation())
    assert predictor.facts.composes == composes
    assert ("views drawn by the graph" in cache.session_options) == composes


def test_tiny_models_do_not_heap_up(model_cache: ModelCache, tmp_path: Path) -> None:
    for number in range(MAX_SESSIONS + 5):
        predict(model_cache, stored(tmp_path, number))
    assert len(model_cache._sessions) <= MAX_SESSIONS + 1


@pytest.mark.parametrize(("side", "is_other"), [(448, False), (449, True)])
def test_threads_are_told_where_they_may_change_a_bit(
    tmp_path: Path, side: int, *, is_other: bool
) -> None:
    files = stored(tmp_path, 1, side)

    def options(**settings: int) -> str:
        cache = ModelCache(WorkerSettings(**settings), SharedFolder(tmp_path))
        return cache.options_of_bits(
            cache.predictor(files, preset("unit"), Statement(), Cancellation())
        )

    assert (options(threads=1) != options(threads=2)) is is_other
    assert options(threads=1) == options(threads=1, batch_rows=4)


def test_a_deleted_model_leaves_with_its_sessions(model_cache: ModelCache, tmp_path: Path) -> None:
    first, second = stored(tmp_path, 1), stored(tmp_path, 2)
    for files in (first, second):
        predict(model_cache, files)
    SharedFolder(tmp_path).path(first.model).unlink()
    model_cache.tidy()

    assert len(model_cache._sessions) == 1
    assert {key[0] for key in model_cache._models} == {second.name}
    predict(model_cache, second)
    assert len(model_cache._sessions) == 1
