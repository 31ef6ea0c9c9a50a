"""The server takes nothing from a worker but values of the types that a task declares."""

import os
import pickle
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from heatproof.evaluators import errors
from heatproof.evaluators.errors import HeatproofError, InvalidImageError, WorkerCrashedError
from heatproof.evaluators.evaluation.column_blocks import written
from heatproof.evaluators.evaluation.columns import Columns, ResultColumns, ScoreColumn
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.tabulation import image_columns
from heatproof.server.answers.segments import MAX_SEGMENT_BYTES
from heatproof.server.api.codec.worker_documents import check_document
from heatproof.server.workers import shard_results, statistics_tasks, tasks
from heatproof.server.workers.inputs import RunSize
from heatproof.server.workers.local.encoding import (
    MAX_FRAME_BYTES,
    MalformedFrameError,
    decode_report,
    encode_report,
)
from heatproof.server.workers.local.messages import Begun, Pulse, Report
from heatproof.server.workers.local.pool import PoolSettings
from heatproof.server.workers.protocol import (
    Document,
    Done,
    Failed,
    NewAnswers,
    Partial,
    Progress,
    Task,
)
from heatproof.v1 import results_pb2
from tests.server.workers.fault_tasks import Betray, Count, Describe
from tests.server.workers.pools import started

TASKS: list[Any] = [
    kind
    for kind in (vars(tasks) | vars(statistics_tasks)).values()
    if isinstance(kind, type) and issubclass(kind, Task) and kind is not Task
]
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, HeatproofError)
]
TEXT = st.text(max_size=20)
COUNT = st.integers(0, 1 << 62)
NUMBER = 3
BLOCKS = written(
    Columns(
        image_columns([ImageResult("abc", "", 1, (), ())], [True]),
        {0: ResultColumns({"": ScoreColumn.of([0.5])})},
    )
)
"""Columns of a shard of one image."""
ROW = results_pb2.ImageResult(image="abc", label=1).SerializeToString()
OF_ANY_MESSAGE = b"\xf8\x07\x01"
"""Field 127, which no message of the contract knows."""


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a declared type; for a message, bytes that hold one."""
    if kind is None:
        return st.none()
    if isinstance(kind, Document):
        return st.sampled_from([b"", OF_ANY_MESSAGE])
    if kind is shard_results.ImageRow:
        return st.builds(shard_results.ImageRow, *[st.sampled_from([b"", ROW])] * 3)
    known: dict[Any, st.SearchStrategy[Any]] = {
        int: COUNT,
        bool: st.booleans(),
        dict[str, str]: st.dictionaries(TEXT, TEXT, max_size=3),
        tuple[str, ...]: st.lists(st.sampled_from("abc"), min_size=1).map(tuple),
        tuple[tasks.ImageFacts, ...]: st.lists(
            st.builds(tasks.ImageFacts, height=COUNT, width=COUNT), max_size=3
        ).map(tuple),
        tasks.PlannedWork: st.builds(tasks.PlannedWork, predictions=COUNT),
        shard_results.ShardTotals: st.builds(
            shard_results.ShardTotals,
            COUNT,
            st.just(BLOCKS),
            run_sizes=st.just((RunSize("models/m", "a" * 64, 4),)),
        ),
        tuple[bytes, ...]: st.just(BLOCKS),
        statistics_tasks.ImageSummary: st.builds(
            statistics_tasks.ImageSummary,
            st.just(b""),
            st.lists(st.tuples(COUNT, st.lists(COUNT).map(tuple))).map(tuple),
        ),
        statistics_tasks.RecordedColumns: st.just(
            statistics_tasks.RecordedColumns(BLOCKS[0], dict(enumerate(BLOCKS[1:])))
        ),
        statistics_tasks.AssessedMetrics: st.lists(st.sampled_from([b"", OF_ANY_MESSAGE])).map(
            lambda found: statistics_tasks.AssessedMetrics(tuple(found))
        ),
        statistics_tasks.ComparedModels: st.lists(st.lists(st.floats(0, 1)).map(tuple)).map(
            lambda found: statistics_tasks.ComparedModels((b"",) * len(found), tuple(found))
        ),
    }
    return known[kind]


def carried(event: Any, task: Any = None) -> Any:
    report = decode_report(encode_report(Report(NUMBER, event)), task, NUMBER, check_document)
    assert report is not None
    assert report.number == NUMBER
    return report.event


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.__name__)
@hypothesis_settings(deadline=None)  # the first call makes a decoder
@given(data=st.data())
def test_what_a_task_yields_arrives_as_it_is(kind: Any, data: st.DataObject) -> None:
    for event in (
        Partial(data.draw(values(kind.partial))),
        Done(data.draw(values(kind.value))),
    ):
        assert carried(event, kind) == event


@given(step=TEXT, predictions=st.integers(0, 1 << 62), images=st.integers(0, 1 << 62))
def test_progress_arrives_as_it_is(step: str, predictions: int, images: int) -> None:
    known = predictions // 2
    for event in (Begun(), Pulse(images), Progress(step, predictions, images, known)):
        assert carried(event) == event


@given(model=TEXT, data=st.binary(max_size=50), damaged=st.lists(TEXT, max_size=3).map(tuple))
def test_answers_arrive_as_they_are(model: str, data: bytes, damaged: tuple[str, ...]) -> None:
    event = NewAnswers(model, "context", "image", data, damaged)
    assert carried(event) == event


@pytest.mark.parametrize("size", [MAX_SEGMENT_BYTES, MAX_SEGMENT_BYTES + 1])
def test_answers_of_more_bytes_than_a_file_has_are_refused(size: int) -> None:
    event = NewAnswers("model", "context", "image", bytes(size))
    frame = encode_report(Report(NUMBER, event))
    if size <= MAX_SEGMENT_BYTES:
        assert decode_report(frame, None, NUMBER, check_document) == Report(NUMBER, event)
        return
    with pytest.raises(MalformedFrameError):
        decode_report(frame, None, NUMBER, check_document)


@pytest.mark.parametrize("known", [-1, 8])
def test_more_known_predictions_than_there_were_are_refused(known: int) -> None:
    totals = Done(shard_results.ShardTotals(7, BLOCKS, known=known))
    frame = encode_report(Report(NUMBER, totals))
    with pytest.raises(MalformedFrameError, match="of 7 predictions were known"):
        decode_report(frame, tasks.RunShard, NUMBER, check_document)  # type: ignore[arg-type]  # its class methods are read


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(message=TEXT, field=TEXT, metadata=st.dictionaries(TEXT, TEXT, max_size=3))
def test_errors_arrive_whole(
    kind: type[HeatproofError], message: str, field: str, metadata: dict[str, str]
) -> None:
    error = carried(Failed(kind(message, field=field, metadata=metadata))).error

    assert type(error) is kind
    assert (error.message, error.field, error.metadata) == (message, field, metadata)


class PluginError(InvalidImageError):
    """An error that the server does not know."""


def test_the_error_of_a_plug_in_arrives_as_its_nearest_known_kin() -> None:
    error = carried(Failed(PluginError("x" * 1_000_000))).error
    assert type(error) is InvalidImageError
    assert 1000 < len(error.message) < 1_000_000


def _unreadable() -> bytes:
    return b"\xff" * 9


def wrong_values(kind: Any) -> Iterator[Any]:
    """Values that are not of a declared type, but look alike."""
    yield {"surprise": 1}
    yield [[1]]
    yield 1.5
    if kind is not None:
        yield None
    if kind is tuple[str, ...]:
        yield from ([], ["../heatproof.sqlite"], [".."], ["a/b"], ["/etc/passwd"])
    if kind is tuple[bytes, ...]:
        yield from ([], [b"", BLOCKS[1]], [BLOCKS[0], BLOCKS[1][:-9]], [BLOCKS[0], BLOCKS[0]])
    if kind is shard_results.ShardTotals:
        yield {"predictions": 1, "columns": [BLOCKS[0], b"\x91\x07"]}
        held = {"predictions": 1, "columns": list(BLOCKS)}
        yield held | {"ways_run": ["x"] * (shard_results.MOST_WAYS + 1)}
        yield held | {"ways_run": ["x" * (shard_results.LONGEST_WAY + 1)]}
        size = {"model": "models/m", "key": "a" * 64, "batches": 1}
        yield held | {"run_sizes": [size] * (shard_results.MOST_WAYS + 1)}
        yield held | {"run_sizes": [size | {"key": "a" * 63 + "/"}]}
        yield held | {"run_sizes": [size | {"batches": 1 << 40}]}
    if kind is shard_results.ImageRow:
        yield {"basic": _unreadable(), "curves": b"", "overlays": b""}
    if kind is statistics_tasks.ComparedModels:
        yield {"comparisons": [_unreadable()], "p_values": [[]]}
        yield {"comparisons": [b""], "p_values": []}
        yield from ({"comparisons": [b""], "p_values": [[p]]} for p in (-0.1, 1.5, float("nan")))
    if isinstance(kind, Document):
        yield _unreadable()
        yield "text"


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.__name__)
def test_other_types_than_declared_are_refused(kind: Any) -> None:
    for make, declared in ((Partial, kind.partial), (Done, kind.value)):
        for value in wrong_values(declared):
            frame = encode_report(Report(NUMBER, make(value)))
            with pytest.raises(MalformedFrameError):
                decode_report(frame, kind, NUMBER, check_document)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused_or_read(frame: bytes) -> None:
    try:
        report = decode_report(frame, Count(1), NUMBER, check_document)
    except MalformedFrameError:
        return
    assert report is None or isinstance(report, Report)


def test_reports_on_other_tasks_are_dropped_unread() -> None:
    frame = encode_report(Report(NUMBER - 1, Done({"not": "an int"})))
    assert decode_report(frame, Count(1), NUMBER, check_document) is None


def test_an_unknown_error_is_refused() -> None:
    frame = msgspec.msgpack.encode([NUMBER, ["_Failed", "SystemExit", "", "", {}]])
    with pytest.raises(MalformedFrameError, match="SystemExit"):
        decode_report(frame, None, NUMBER, check_document)


def test_what_is_too_large_or_has_no_encoding_is_not_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_report(Report(NUMBER, Done(bytes(MAX_FRAME_BYTES))))
    with pytest.raises(ValueError, match="2"):
        encode_report(Report(NUMBER, Done(1 << 70)))
    with pytest.raises(TypeError):
        encode_report(Report(NUMBER, Done(object())))


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def framed(payload: bytes) -> bytes:
    """Bytes as a `multiprocessing.Connection` sends them."""
    return struct.pack("!i", len(payload)) + payload


def done(value: object) -> bytes:
    return framed(encode_report(Report(1, Done(value))))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "attack", ["pickle", "garbage", "empty", "too_large", "far_too_large", "wrong_type"]
)
async def test_a_hostile_worker_is_killed_and_its_task_crashed(
    settings: PoolSettings, tmp_path: Path, attack: str
) -> None:
    fuse = tmp_path / "fuse"
    sent = {
        "pickle": framed(pickle.dumps(Bomb(fuse))),
        "garbage": framed(os.urandom(100)),
        "empty": framed(b""),
        "too_large": struct.pack("!i", MAX_FRAME_BYTES + 1) + bytes(100),
        "far_too_large": struct.pack("!iQ", -1, 1 << 62) + bytes(100),
        "wrong_type": done("no number"),
    }[attack]
    async with started(replace(settings, interactive_workers=1)) as pool:
        with pytest.raises(WorkerCrashedError, match="sent what no worker sends"):
            await pool.call(Betray(sent))

        assert not fuse.exists()
        assert (await pool.call(Describe()))["pid"]
