"""Images of thousands of results, whose curves and overlays do not fit one message of gRPC."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from heatproof.client.documents.results import joined
from heatproof.server.api.codec.listing import image_result_parts
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.evaluations.store.records import Ending, ShardRows, State
from heatproof.server.workers.shard_results import ImageRow
from heatproof.v1.evaluation_service_pb2 import ListImageResultsRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.results_pb2 import Curve, ImageResult, ImageScore, InputPicture, Overlay, Score
from tests.server.world import opened_world
from tests.system.serving import serving, settings_for

RESULTS = 6000
POINTS = 60
CLIENTS_ACCEPT = 4 << 20


def scored(index: int, points: int = POINTS) -> ImageScore:
    curve = Curve(fractions=[0.5] * points, values=[index / RESULTS] * points)
    return ImageScore(result=index, score=Score(value=index), curves={"deletion": curve})


def image(name: str, scores: int, *, overlays: tuple[int, ...] = ()) -> ImageResult:
    return ImageResult(
        image=name * 64,
        display_name=name,
        label=3,
        scores=[scored(index) for index in range(scores)],
        overlays=[Overlay(png=bytes(size)) for size in overlays],
        input_pictures=[InputPicture(jpeg=bytes(size + 1)) for size in overlays],
    )


IMAGES = (
    image("a", 1),
    image("b", RESULTS, overlays=(1 << 20, 3 << 20)),
    image("c", RESULTS),
    image("c", 2),
)


def row(result: ImageResult) -> ImageRow:
    curves, basic = ImageResult(), ImageResult()
    curves.CopyFrom(result)
    curves.ClearField("overlays")
    curves.ClearField("input_pictures")
    basic.CopyFrom(curves)
    for score in basic.scores:
        score.ClearField("curves")
    overlays = ImageResult(overlays=result.overlays, input_pictures=result.input_pictures)
    return ImageRow(*(one.SerializeToString() for one in (basic, curves, overlays)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[grpc.Channel, str]]:
    """A server and the name of an evaluation whose results are made up."""
    data: Path = tmp_path_factory.mktemp("large") / "data"
    with opened_world(data) as world:
        stored = world.stores.evaluations.add(world.new(len(IMAGES)))
        shard = ShardRows(0, range(len(IMAGES)), tuple(map(row, IMAGES)), 4, 1.0)
        ending = Ending(State.CANCELLED, b"", partial=(shard,))
        world.stores.evaluations.end(stored, ending)
    with serving(settings_for(data)) as running:
        yield running.channel, stored.name


def listed(
    served: tuple[grpc.Channel, str], view: ListImageResultsRequest.View.ValueType
) -> list[ImageResult]:
    channel, name = served
    request = ListImageResultsRequest(name=name, view=view)
    return list(EvaluationServiceStub(channel).ListImageResults(request, timeout=60))


def test_every_score_curve_and_overlay_arrives(served: tuple[grpc.Channel, str]) -> None:
    assert all(one.ByteSize() > CLIENTS_ACCEPT for one in IMAGES[1:3])
    parts = listed(served, ListImageResultsRequest.VIEW_FULL)
    assert max(part.ByteSize() for part in parts) <= MAX_REPLY_BYTES
    assert len(parts) > len(IMAGES)
    assert tuple(joined(parts)) == IMAGES


def test_continuations_name_their_image_and_repeat_nothing_else(
    served: tuple[grpc.Channel, str],
) -> None:
    further = [p for p in listed(served, ListImageResultsRequest.VIEW_FULL) if p.continuation]
    told = {"image", "continuation", "scores", "overlays", "input_pictures"}
    assert {part.image for part in further} == {"b" * 64, "c" * 64}
    assert all({field.name for field, _ in part.ListFields()} <= told for part in further)


def test_what_fits_a_message_comes_in_one(served: tuple[grpc.Channel, str]) -> None:
    parts = listed(served, ListImageResultsRequest.VIEW_BASIC)
    assert [len(part.scores) for part in parts] == [len(one.scores) for one in IMAGES]
    assert not any(part.continuation for part in parts)


def test_only_what_no_message_holds_is_left_out() -> None:
    huge = image("d", 2, overlays=(1, MAX_REPLY_BYTES, 2))
    huge.scores.append(scored(2, points=MAX_REPLY_BYTES // 16))
    parts = list(image_result_parts(huge.SerializeToString()))
    assert all(part.ByteSize() <= MAX_REPLY_BYTES for part in parts)
    (found,) = joined(parts)
    assert list(found.scores[:2]) == list(huge.scores[:2])
    assert found.scores[2].score == huge.scores[2].score
    assert not found.scores[2].curves
    assert [len(overlay.png) for overlay in found.overlays] == [1, 2]
    assert [len(picture.jpeg) for picture in found.input_pictures] == [2, 3]
