"""No reply passes what clients accept, whatever has been stored."""

from typing import Any

import grpc
import onnx
import pytest

from heatproof.evaluators.errors import LimitExceededError
from heatproof.server.api.codec.facts import MAX_BYTES
from heatproof.server.api.interceptors.delivery import checked
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.v1 import evaluation_pb2, image_pb2
from heatproof.v1 import model_service_pb2 as pb
from tests.system.payloads import dataset, png, tiny_model, upload
from tests.system.refusals import refused
from tests.system.serving import Served

LONG = 10_000


def with_long_names(seed: int, count: int) -> bytes:
    """A model with so many spatial tensors of long names."""
    model = tiny_model(seed)
    nodes, relus, last = list(model.graph.node), [], "r"
    for index in range(count):
        name = f"{index}_" + LONG * "x"
        relus.append(onnx.NodeProto(op_type="Relu", input=[last], output=[name]))
        last = name
    nodes[2].input[0] = last
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:2], *relus, *nodes[2:]])
    return model.SerializeToString()


def test_pages_end_where_a_reply_does_and_the_next_one_goes_on(served_with: Any) -> None:
    with served_with() as served:
        stored = [
            served.models.UploadModel(iter(upload(with_long_names(seed, 48)))).name
            for seed in range(8)
        ]
        pages = [served.models.ListModels(pb.ListModelsRequest(page_size=1000))]
        while pages[-1].next_page_token:
            request = pb.ListModelsRequest(page_size=1000, page_token=pages[-1].next_page_token)
            pages.append(served.models.ListModels(request))
        assert [model.name for page in pages for model in page.models] == stored[::-1]
        assert len(pages) > 1
        assert all(page.ByteSize() <= MAX_REPLY_BYTES for page in pages)
        assert pages[0].ByteSize() > MAX_REPLY_BYTES / 2


def test_of_endless_tensors_the_last_are_described(served: Served) -> None:
    stored = served.models.UploadModel(iter(upload(with_long_names(80, 200))))
    named = [tensor.name.split("_")[0] for tensor in stored.facts.cam_tensors]
    assert stored.facts.ByteSize() < MAX_BYTES
    assert named == [str(index) for index in range(200 - len(named), 200)]
    assert len(named) > 40
    assert stored.facts.cam_tensors[-1].is_default


def test_a_model_that_no_reply_can_describe_is_refused(served: Served) -> None:
    model = tiny_model(81)
    name = 600_000 * "x"
    model.graph.node[-1].output[0] = model.graph.output[0].name = name
    with refused() as refusal:
        served.models.UploadModel(iter(upload(model.SerializeToString())))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "names" in refusal.message


@pytest.mark.parametrize("name", [257 * "x", "a\nb", "\0", 100_000 * "x"])
def test_names_to_show_are_short_and_printable(served: Served, name: str) -> None:
    with refused() as refusal:
        served.models.UploadModel(iter(upload(b"x", name=name)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "header.display_name"
    with refused() as refusal:
        served.datasets.UploadDataset(dataset(image_pb2.Image(encoded=png()), name=name))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "header.display_name"


def test_texts_of_any_field_have_an_end(served: Served) -> None:
    image = image_pb2.Image(
        encoded=png(), attribution_maps=[{"name": 20_000 * "x", "frame": 1, "values": {}}]
    )
    with refused() as refusal:
        served.datasets.UploadDataset(dataset(image))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "image.attribution_maps[0].name"


def test_a_reply_that_is_too_large_is_refused_with_a_reason() -> None:
    reply = evaluation_pb2.Evaluation(environment={"a": MAX_REPLY_BYTES * "x"})
    with pytest.raises(LimitExceededError, match="ask for less"):
        checked(reply)
