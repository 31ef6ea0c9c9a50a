"""What was measured of runs holds for the machine, the libraries and the passes that it was of."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from heatproof.evaluators.images.preprocessing import Preprocessing, preset
from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.server.workers.execution import environment
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.environment import known_run_sizes, measured_run_sizes
from heatproof.server.workers.execution.model_cache import ModelCache
from heatproof.server.workers.file_access import SharedFolder
from heatproof.server.workers.inputs import RunSize
from heatproof.server.workers.limits import WorkerSettings
from tests.graphs.runtime.test_streams import batches
from tests.server.workers.execution.test_model_cache import stored

UNIT = preset("unit")


def opened(
    folder: Path,
    sizes: tuple[RunSize, ...] = (),
    preprocessing: Preprocessing = UNIT,
    **settings: Any,
) -> tuple[GraphPredictor, TaskContext]:
    """A predictor of a worker that has just started, which knows these sizes."""
    cache = ModelCache(WorkerSettings(**{"threads": 1, **settings}), SharedFolder(folder))
    context = cast("TaskContext", SimpleNamespace(model_cache=cache))
    known = known_run_sizes(sizes, context)
    files = stored(folder, 1)
    return cache.predictor(files, preprocessing, Statement(), Cancellation(), known), context


def used(predictor: GraphPredictor, run: ModelPass) -> Mapping[str, int]:
    """Runs batches that have all waited; what is measured of them then."""
    streams, hold = predictor._sessions.streams, Future[None]()
    for _ in range(streams.side_by_side):
        streams.submit(lambda: hold.result(timeout=60), alone=False)
    shown = batches(run, 2, side=8, classes=4)
    under_way = [predictor.submit(run, batch) for batch in shown]
    hold.set_result(None)
    for future in under_way:
        future.result(timeout=60)
    return predictor.measured_run_sizes()


def measured(folder: Path, run: ModelPass, batch_count: int = 1) -> RunSize:
    """As if this count had been measured of a pass."""
    predictor, context = opened(folder)
    found = SimpleNamespace(
        measured_run_sizes=lambda: {predictor._keys(run): batch_count}  # its session's
    )
    (size,) = measured_run_sizes("models/1", cast("GraphPredictor", found), context)
    return size


@pytest.fixture(autouse=True)
def _environments_change() -> None:
    environment._computing.cache_clear()


PLAIN = ModelPass("models/1")


@pytest.mark.parametrize(
    "run", [PLAIN, ModelPass("models/1", wrt=IMAGE)], ids=["plain", "gradient"]
)
def test_a_known_size_is_used_from_the_first_run_on(tmp_path: Path, run: ModelPass) -> None:
    size = measured(tmp_path, run, 4)
    predictor, _ = opened(tmp_path, (size,))
    assert list(used(predictor, run).values()) == [4]
    assert {way.split()[1] for way in predictor.ways_run()} == {"8"}


def test_nothing_is_said_before_it_is_measured(tmp_path: Path) -> None:
    predictor, _ = opened(tmp_path)
    assert used(predictor, PLAIN) == {}


def test_a_fixed_size_is_no_measurement_and_no_measurement_overrules_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, _ = opened(tmp_path, batch_rows=4)
    monkeypatch.setattr(predictor, "_run_sizes", lambda _: 4)
    assert used(predictor, PLAIN) == {}
    assert {way.split()[1] for way in predictor.ways_run()} == {"4"}


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], dict[str, Any]]] = {
    "runtime": lambda patch: patch.setattr(environment, "ONNX_RUNTIME_VERSION", "0.0.1") or {},
    "features": lambda patch: patch.setattr(environment, "_features", lambda: ["SSE"]) or {},
    "processor": lambda patch: patch.setattr(environment, "_processor", lambda: "other") or {},
    "cores": lambda _: {"threads": 2},
    "views": lambda _: {"views": "graph"},
    "preprocessing": lambda _: {"preprocessing": preset("imagenet")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_size_is_of_no_use_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    size = measured(tmp_path, PLAIN, 4)
    settings = CHANGES[change](monkeypatch)
    environment._computing.cache_clear()
    predictor, _ = opened(tmp_path, (size,), **settings)
    assert used(predictor, PLAIN) == {}


@pytest.mark.parametrize("lie", [0, -1, 3, 1 << 40])
def test_sizes_that_no_run_has_are_not_used(tmp_path: Path, lie: int) -> None:
    predictor, _ = opened(tmp_path, (measured(tmp_path, PLAIN, lie),))
    assert used(predictor, PLAIN) == {}
