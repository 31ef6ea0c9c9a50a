"""Sets of images: stored once by their content, found again, listed and deleted."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from heatproof.v1 import dataset_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.payloads import dataset, png, tensor
from tests.system.refusals import refused
from tests.system.serving import Served
from tests.system.uploads.test_model_uploads import until

SOURCE, MODEL_INPUT = image_pb2.FRAME_SOURCE, image_pb2.FRAME_MODEL_INPUT


def image(seed: int, **facts: Any) -> image_pb2.Image:
    return image_pb2.Image(encoded=png(seed=seed), **facts)


def upload(served: Served, *images: image_pb2.Image, name: str = "") -> Any:
    return served.datasets.UploadDataset(dataset(*images, name=name))


def test_a_set_counts_its_images_labels_and_bytes(served: Served) -> None:
    stored = upload(served, image(1, label=0), image(2), name="two")
    assert (stored.images, stored.labelled, stored.display_name) == (2, 1, "two")
    assert stored.size_bytes == len(png(seed=1)) + len(png(seed=2))
    assert served.datasets.GetDataset(pb.GetDatasetRequest(name=stored.name)) == stored


def test_the_same_content_is_stored_once_whatever_the_sets_name_to_show(served: Served) -> None:
    first = upload(served, image(3, display_name="a"), name="first")
    again = upload(served, image(3, display_name="a"), name="second")
    assert again == first


KNOWN = {
    "label": {"label": 1},
    "labels": {"labels": {"classes": [1]}},
    "other labels": {"labels": {"classes": [1, 2]}},
    "no class": {"labels": {}},
    "object mask": {"object_mask": {"frame": SOURCE, "mask": tensor(np.eye(8), "uint8")}},
    "frame of the mask": {
        "object_mask": {"frame": MODEL_INPUT, "mask": tensor(np.eye(8), "uint8")}
    },
    "box": {"boxes": [{"frame": SOURCE, "right": 2, "bottom": 2}]},
    "map": {"attribution_maps": [{"frame": SOURCE, "values": tensor(np.eye(8))}]},
    "name of the map": {
        "attribution_maps": [{"frame": SOURCE, "name": "m", "values": tensor(np.eye(8))}]
    },
    "name to show": {"display_name": "a.png"},
    "replacement": {"replacement": {"frame": SOURCE, "encoded": png(seed=9)}},
    "frame of the replacement": {"replacement": {"frame": MODEL_INPUT, "encoded": png(seed=9)}},
    "another replacement": {"replacement": {"frame": SOURCE, "encoded": png(seed=10)}},
    "replacement of numbers": {
        "replacement": {"frame": SOURCE, "pixels": tensor(np.ones((8, 8, 3)))}
    },
    "nothing": {},
}


def test_a_set_of_classes_has_no_order_and_stands_alone(served: Served) -> None:
    first, again = (
        upload(served, image(4, labels={"classes": held})) for held in ([2, 5, 1], [1, 2, 5])
    )
    assert first.name == again.name
    assert upload(served, image(4, labels={})).labelled == 1
    with refused() as refusal:
        upload(served, image(4, label=1, labels={"classes": [1]}))
    assert "label and labels are both set" in refusal.message
    assert refusal.field == "images[0].labels"


def test_everything_that_is_known_about_an_image_tells_sets_apart(served: Served) -> None:
    names = {upload(served, image(4, **facts)).name for facts in KNOWN.values()}
    assert len(names) == len(KNOWN)
    swapped = {upload(served, image(4), image(5)).name, upload(served, image(5), image(4)).name}
    assert len(swapped) == 2


def test_sets_are_listed_newest_first_and_deleted_with_their_bytes(served: Served) -> None:
    old, new = upload(served, image(6), image(7)), upload(served, image(7))
    listed = served.datasets.ListDatasets(pb.ListDatasetsRequest(page_size=2))
    assert list(listed.datasets) == [new, old]
    only_old = hashlib.sha256(png(seed=6)).hexdigest()
    shared = hashlib.sha256(png(seed=7)).hexdigest()
    assert {only_old, shared} <= served.blobs
    served.datasets.DeleteDataset(pb.DeleteDatasetRequest(name=old.name))
    assert shared in served.blobs
    assert only_old not in served.blobs
    with refused() as refusal:
        served.datasets.GetDataset(pb.GetDatasetRequest(name=old.name))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


def test_a_replacement_is_stored_once_and_deleted_with_its_set(served: Served) -> None:
    shown = {"frame": SOURCE, "encoded": png(seed=11)}
    stored = upload(served, *(image(seed, replacement=shown) for seed in (12, 13)))
    digest = hashlib.sha256(png(seed=11)).hexdigest()
    assert digest in served.blobs
    served.datasets.DeleteDataset(pb.DeleteDatasetRequest(name=stored.name))
    assert digest not in served.blobs


def test_more_images_than_a_worker_checks_at_once_are_all_stored_in_order(served: Served) -> None:
    stored = upload(served, *(image(100 + seed) for seed in range(70)))
    assert stored.images == 70


def test_an_upload_that_is_cut_after_an_image_leaves_nothing(served: Served) -> None:
    before, listed = served.blobs, served.datasets.ListDatasets(pb.ListDatasetsRequest())
    released = threading.Event()

    def halved() -> Iterator[Any]:
        yield from dataset(image(8))
        released.wait(20)

    with grpc.insecure_channel(served.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.stream_unary(
            "/heatproof.v1.DatasetService/UploadDataset",
            request_serializer=pb.UploadDatasetRequest.SerializeToString,
        ).future(halved())
        until(lambda: served.leftovers != [])
    released.set()
    assert call.done()
    until(lambda: served.leftovers == [])
    assert served.blobs == before
    assert served.datasets.ListDatasets(pb.ListDatasetsRequest()) == listed


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "header"),
        ([pb.UploadDatasetRequest(image=image(9))], "header"),
        ([pb.UploadDatasetRequest(header={}), pb.UploadDatasetRequest(header={})], "image"),
    ],
)
def test_the_header_comes_first_and_once(served: Served, messages: list[Any], field: str) -> None:
    with refused() as refusal:
        served.datasets.UploadDataset(iter(messages))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
