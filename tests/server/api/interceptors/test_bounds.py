"""Requests are bounded on their bytes, before anything is made of them."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import (
    DeadlineExceededError,
    HeatproofError,
    InvalidArgumentError,
    LimitExceededError,
    OverloadedError,
)
from heatproof.server.api.codec.reading import parsing
from heatproof.server.api.codec.reading.wire import check_counts
from heatproof.server.api.interceptors.bounds import MAX_COUNTS, bounds_of
from heatproof.server.api.interceptors.inbox import Arrivals, Budget
from heatproof.server.settings import Settings
from heatproof.v1 import (
    dataset_service_pb2,
    evaluation_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    gate_pb2,
    image_pb2,
    masking_service_pb2,
    model_service_pb2,
    preprocessing_pb2,
    results_pb2,
)
from tests.system.payloads import dataset, png, tensor, upload

FILES: Any = (
    dataset_service_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    masking_service_pb2,
    model_service_pb2,
)


def requests() -> list[type[Message]]:
    return [
        method.input_type._concrete_class
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def repeated(descriptor: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Repeated fields that a client fills: results come back from it with their own bounds."""
    if descriptor.full_name in seen or descriptor.full_name == "heatproof.v1.Evaluation":
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        if field.is_repeated:
            yield field
        is_result = field.message_type is not None and field.message_type.name == "ImageResult"
        if field.message_type is not None and not is_result:
            yield from repeated(field.message_type, seen)


def test_every_repeated_field_that_clients_fill_has_a_bound() -> None:
    seen: set[str] = set()
    found = {field.full_name for kind in requests() for field in repeated(kind.DESCRIPTOR, seen)}
    assert found == set(MAX_COUNTS)


def test_every_method_has_bounds_far_below_what_would_stop_the_server() -> None:
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                bounds = bounds_of(f"/{service.full_name}/{method.name}", Settings())
                is_simple = method.name.startswith(("Get", "List", "Delete", "Cancel", "Watch"))
                assert bounds.max_bytes <= (1 << 16 if is_simple else 64 << 20)


def check(message: Message, most: Mapping[str, int] = MAX_COUNTS, fields: int = 1000) -> None:
    check_counts(message.SerializeToString(), message.DESCRIPTOR, most, fields)


def spec(**fields: Any) -> evaluation_pb2.EvaluationSpec:
    return evaluation_pb2.EvaluationSpec(**fields)


def image_of_shape(shape: list[int]) -> image_pb2.Image:
    return image_pb2.Image(
        attribution_maps=[{}, {"values": {"shape": shape}}],
    )


OVERFULL = [
    (preprocessing_pb2.Preprocessing(mean=17 * [0.5]), "mean"),
    (spec(preprocessing={"std": 17 * [0.5]}), "preprocessing.std"),
    (spec(metrics=257 * [{"deletion": {}}]), "metrics"),
    (
        evaluation_service_pb2.CreateEvaluationRequest(spec=spec(removals=65 * [{}])),
        "spec.removals",
    ),
    (image_of_shape(17 * [1]), "attribution_maps[1].values.shape"),
    (model_service_pb2.UploadModelRequest(header={"files": 4097 * [{}]}), "header.files"),
    (
        spec(metrics=[{"custom": {"name": "x", "parameters": {str(i): i for i in range(257)}}}]),
        "metrics[0].custom.parameters.fields",
    ),
]


@pytest.mark.parametrize(("message", "field"), OVERFULL)
def test_a_field_that_repeats_too_often_is_named(message: Message, field: str) -> None:
    with pytest.raises(LimitExceededError) as caught:
        check(message, fields=100_000)
    assert caught.value.field == field


def test_packed_numbers_count_one_by_one_wherever_they_are() -> None:
    pieces = [preprocessing_pb2.Preprocessing(mean=10 * [0.5]) for _ in range(2)]
    data = b"".join(piece.SerializeToString() for piece in pieces)
    descriptor: Any = preprocessing_pb2.Preprocessing.DESCRIPTOR
    with pytest.raises(LimitExceededError) as caught:
        check_counts(data, descriptor, MAX_COUNTS, 1000)
    assert caught.value.field == "mean"
    scores = gate_pb2.Baseline(evaluation={"results": [{"curves": {"x": {"values": 90 * [1.0]}}}]})
    with pytest.raises(LimitExceededError, match="more fields"):
        check(scores, fields=90)


def test_unknown_fields_count_too() -> None:
    descriptor: Any = preprocessing_pb2.Preprocessing.DESCRIPTOR
    with pytest.raises(LimitExceededError, match="more fields"):
        check_counts(501 * b"\xf8\x07\x01", descriptor, MAX_COUNTS, 500)


def test_messages_nested_too_deep_are_refused() -> None:
    value = b"\x08\x00"
    for _ in range(200):
        inner = b"\x0a" + varint(len(value)) + value  # ListValue.values
        value = b"\x32" + varint(len(inner)) + inner  # Value.list_value
    parameters = spec(metrics=[{"custom": {"name": "x", "parameters": {"a": 1}}}])
    descriptor: Any = parameters.metrics[0].custom.parameters.fields["a"].DESCRIPTOR
    with pytest.raises(LimitExceededError, match="nests"):
        check_counts(value, descriptor, MAX_COUNTS, 100_000)


def varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def samples() -> list[Message]:
    """Messages of every method that hold something."""
    image = image_pb2.Image(
        encoded=png(),
        label=3,
        boxes=[{"frame": 1, "left": 1, "right": 2}],
        attribution_maps=[{"name": "a", "frame": 1, "values": tensor([[1.0, 2.0]])}],
    )
    custom = {"custom": {"name": "x", "parameters": {"a": [1, {"b": "c"}], "d": None}}}
    asked = spec(models=["m"], preprocessing={"mean": [1, 2]}, metrics=[{"deletion": {}}, custom])
    recorded = gate_pb2.Baseline(
        model="m",
        evaluation={"spec": asked, "environment": {"a": "b"}, "clean_accuracy": {"m": {}}},
        image_results=[{"scores": [{"curves": {"x": {"values": [1, 2]}}}, {}]}],
    )
    return [
        *dataset(image),
        *upload(b"model"),
        evaluation_service_pb2.EvaluateRequest(spec=asked, images=[image, image]),
        evaluation_service_pb2.GateEvaluationRequest(name="n", recorded_baseline=recorded),
        explanation_service_pb2.ExplainRequest(model="m", images=[image]),
        masking_service_pb2.PredictRequest(image=image, masks=tensor([[[1.0]]])),
    ]


def in_pieces(data: bytes, kind: type[Message]) -> Message:
    return parsing.parsed(data, kind, fields_count=1 << 20)


@pytest.mark.parametrize("message", samples())
@pytest.mark.parametrize("piece", [1, 7, 40, 1 << 18])
def test_pieces_decode_to_what_the_whole_decodes_to(
    message: Message, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_PIECE_BYTES", piece)
    data = message.SerializeToString(deterministic=True)
    assert in_pieces(data, type(message)) == message
    assert in_pieces(data + data, type(message)) == type(message).FromString(data + data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(samples()), st.randoms(use_true_random=False), st.integers(1, 64))
def test_damaged_messages_are_refused_or_decode_as_protobuf_decodes_them(
    message: Message, rng: random.Random, piece: int
) -> None:
    data = bytearray(message.SerializeToString())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    damaged = bytes(data[: rng.randint(1, len(data))])
    kind: Any = type(message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_PIECE_BYTES", piece)
        try:
            check_counts(damaged, kind.DESCRIPTOR, MAX_COUNTS, 10_000)
            found = in_pieces(damaged, kind)
        except HeatproofError:
            return
    assert found.SerializeToString(deterministic=True) == (
        kind.FromString(damaged).SerializeToString(deterministic=True)
    )


@given(st.binary(max_size=200))
def test_what_is_refused_as_damaged_is_no_message_for_protobuf_either(data: bytes) -> None:
    kind: Any = results_pb2.ImageResult
    try:
        kind.FromString(data)
    except DecodeError:
        with pytest.raises(InvalidArgumentError):
            in_pieces(data, kind)
    else:
        in_pieces(data, kind)


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_whoever_is_slow_gives_way_to_those_who_wait() -> None:
    arrivals = Arrivals(places=2, patience_seconds=0.01, idle_seconds=60)

    async def slow() -> None:
        async with arrivals():
            await asyncio.Event().wait()

    slow_ones = [asyncio.create_task(slow()) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10), arrivals():
        pass
    done = await asyncio.wait_for(asyncio.gather(*slow_ones, return_exceptions=True), 10)
    assert all(isinstance(outcome, DeadlineExceededError) for outcome in done)


async def test_slow_ones_that_wait_themselves_have_as_little_time() -> None:
    arrivals = Arrivals(places=1, patience_seconds=0.01, idle_seconds=60)

    async def slow() -> None:
        async with arrivals():
            await asyncio.Event().wait()

    slow_ones = [asyncio.create_task(slow()) for _ in range(4)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10), arrivals():
        pass
    assert all(task.done() for task in slow_ones)
    await asyncio.gather(*slow_ones, return_exceptions=True)


async def test_what_does_not_arrive_is_given_up() -> None:
    arrivals = Arrivals(places=1, patience_seconds=60, idle_seconds=0.01)
    with pytest.raises(DeadlineExceededError, match=r"0\.01 s"):
        async with arrivals():
            await anext(never())


async def test_bytes_beyond_the_budget_are_put_off_until_others_are_released() -> None:
    budget = Budget(100)
    async with budget(60):
        async with budget(40):
            pass
        with pytest.raises(OverloadedError) as caught:
            async with budget(41):
                pass
        assert float(caught.value.metadata["retry_delay_seconds"]) > 0
        waiting = asyncio.create_task(hold(budget, 41))
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, 10)
    async with budget(1000):  # alone it fits, or it never would
        pass


async def hold(budget: Budget, size: int) -> None:
    async with budget(size, wait_seconds=10):
        pass
