"""Batches under way at once: what they may change, and what not."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import CancelledError, InvalidModelError
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.removal import Masking, Mode
from heatproof.graphs import predictor as predictors
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime import memory
from heatproof.graphs.runtime import sessions as runtime_sessions
from heatproof.graphs.runtime.backends.onnxruntime_networks import native_options
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import Session, SessionCache, open_session
from tests.graphs.evaluations.test_bit_equality import NETWORKS
from tests.graphs.runtime.test_runtime import SLOW

Parse = Callable[[str], onnx.ModelProto]

CORES = 3
ROWS = 12
PLAIN = ModelPass("models/m")
PASSES = {
    "plain": PLAIN,
    "layer-masked": ModelPass("models/m", masking=Masking(Mode.REFERENCE)),
    "strict": ModelPass("models/m", masking=Masking(Mode.STRICT)),
    "with gradient": ModelPass("models/m", wrt=IMAGE),
}


def predictor(
    model: onnx.ModelProto,
    *,
    cores: int = CORES,
    rows: int = 2,
    grouped: int = 1,
    cancellation: Cancellation | None = None,
) -> GraphPredictor:
    return GraphPredictor(
        canonicalize(ir.from_proto(model), PRESETS["unit"]),
        SessionCache(1 << 30, SessionSettings(cores, grouped=grouped)),
        model="models/m",
        batch_size=rows,
        cancellation=cancellation or Cancellation(),
    )


def batches(run: ModelPass, rows: int, side: int = 32, classes: int = 5) -> Iterator[Batch]:
    """The same rows, however many of them share a batch."""
    rng = np.random.default_rng(3)
    images = rng.random((ROWS, 3, side, side), np.float32)
    masks = rng.random((ROWS, side, side)) < 0.6
    weights = rng.normal(size=(ROWS, classes)).astype(np.float32)
    for first in range(0, ROWS, rows):
        part = slice(first, first + rows)
        yield Batch(
            images[part],
            None if run.masking is None else masks[part],
            None if run.wrt is None else weights[part],
        )


def bits(built: GraphPredictor, run: ModelPass, rows: int) -> bytes:
    """All that the rows are answered with, submitted before any answer is awaited."""
    under_way = [built.submit(run, batch) for batch in batches(run, rows)]
    answers = [future.result() for future in under_way]
    gradients = [answer.gradients for answer in answers if answer.gradients is not None]
    parts = [np.concatenate([answer.logits for answer in answers])]
    parts += [np.concatenate(gradients)] if gradients else []
    return b"".join(part.tobytes() for part in parts)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", PASSES)
def test_rows_have_the_same_bits_however_many_share_a_batch_or_run_at_once(
    text_model: Parse, network: str, kind: str
) -> None:
    model, run = text_model(NETWORKS[network]), PASSES[kind]
    expected = bits(predictor(model, cores=1, rows=2), run, 2)
    for cores, rows in ((3, 2), (1, 3), (2, 4), (3, 6), (2, 12)):
        assert bits(predictor(model, cores=cores, rows=rows), run, rows) == expected


@contextmanager
def hooked(monkeypatch: pytest.MonkeyPatch, hook: Callable[[], None]) -> Iterator[None]:
    """Calls something at the start of every pass."""
    run = Session.run

    def hooking(session: Session, *arguments: object) -> list[NDArray[np.float32]]:
        hook()
        return run(session, *arguments)  # type: ignore[arg-type] # handed on as they came

    with monkeypatch.context() as patched:
        patched.setattr(Session, "run", hooking)
        yield


def test_every_core_runs_a_batch_of_its_own_and_one_more_is_ready(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = predictor(text_model(NETWORKS["models/nchw"]))
    (first, *_) = batches(PLAIN, 2)
    built.submit(PLAIN, first).result()
    barrier = threading.Barrier(CORES + 1)  # nobody passes it unless all are there
    with hooked(monkeypatch, lambda: barrier.wait(timeout=60) and None):
        under_way = [built.submit(PLAIN, first) for _ in range(2 * (CORES + 1))]
        found = {future.result().logits.tobytes() for future in under_way}
    assert len(found) == 1
    assert built.facts.in_flight == 4 * (CORES + 2)  # a run takes up to four batches, and one waits


def test_large_images_have_all_cores_for_one_batch_at_a_time(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def opening(model: ir.Model, settings: SessionSettings) -> Session:
        threads.append(settings.threads)
        return open_session(model, settings)

    monkeypatch.setattr(runtime_sessions, "open_session", opening)
    model = text_model(NETWORKS["models/nchw"])
    found = []
    for most in (32 * 32, 32 * 32 - 1):
        monkeypatch.setattr(predictors, "MOST_PIXELS_SIDE_BY_SIDE", most)
        built = predictor(model)
        found.append((bits(built, PLAIN, 2), built.facts.in_flight))
    assert found[0][0] == found[1][0]
    assert [in_flight for _, in_flight in found] == [4 * (CORES + 2), 2]
    assert threads == [1, CORES]


def test_passes_over_all_cores_never_run_at_once(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictors, "MOST_PIXELS_SIDE_BY_SIDE", 0)
    built = predictor(text_model(NETWORKS["models/nchw"]))
    names = set[str]()
    with hooked(monkeypatch, lambda: names.add(threading.current_thread().name)):
        bits(built, PLAIN, 2)
    assert len(names - {threading.current_thread().name}) == 1


def test_an_error_of_one_batch_is_its_own(text_model: Parse) -> None:
    built = predictor(text_model(NETWORKS["models/nchw"]))
    good = list(batches(PLAIN, 2))
    bad = replace(good[1], rows=good[1].images[:, :, :5])
    under_way = [built.submit(PLAIN, batch) for batch in (good[0], bad, good[2])]
    with pytest.raises(InvalidModelError, match="image"):
        under_way[1].result()
    assert [len(under_way[place].result().logits) for place in (0, 2)] == [2, 2]


def test_a_cancellation_stops_all_that_is_under_way(text_model: Parse) -> None:
    cancellation = Cancellation()
    built = predictor(text_model(SLOW), cancellation=cancellation)
    begun = threading.Semaphore(0)
    built._canonical.row_check._is_due = False  # it would run first, and never end
    under_way: list[Future[Answers]] = []
    with pytest.MonkeyPatch.context() as patch, hooked(patch, begun.release):
        under_way = [
            built.submit(PLAIN, batch) for batch in list(batches(PLAIN, 2, 16, 3))[: CORES + 3]
        ]
        for _ in range(CORES + 1):
            assert begun.acquire(timeout=60)
        cancellation.cancel()
        for future in under_way:
            with pytest.raises(CancelledError):
                future.result(timeout=60)


def test_the_buffers_of_passes_side_by_side_are_counted_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resident = iter([100, 110, 150, 170, 400, 430])
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(resident))
    buffers = memory.Buffers()
    first, second, third = (buffers.watched(rows) for rows in (2, 2, 1))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert buffers.nbytes == (150 - 100) + (170 - 150)
    with buffers.watched(3), buffers.watched(1):
        pass  # no more rows than before at once: what grew meanwhile is somebody else's
    assert buffers.nbytes == 70
    with buffers.watched(4), third:
        pass
    assert buffers.nbytes == 70 + (430 - 400)


def test_threads_of_a_session_do_not_spin_when_its_pass_has_ended() -> None:
    options = native_options(SessionSettings(threads=2))
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
