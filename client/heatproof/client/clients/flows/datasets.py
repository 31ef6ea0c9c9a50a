"""Data sets: images with what is known about them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeAlias, TypedDict, Unpack

from heatproof.client.clients.effects import Flow, Rpc, Unary, Upload, limit, work
from heatproof.client.clients.flows.listing import every
from heatproof.client.clients.progress import OnProgress, Progress, Stage, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.annotations import (
    Annotations,
    AnnotationSources,
    BoxesSource,
    GroupsSource,
    LabelsSource,
    MasksSource,
    ReplacementsSource,
)
from heatproof.client.documents.attribution_maps import MapsSource
from heatproof.client.documents.images import ImagesSource, NamedImage, collect
from heatproof.client.errors import UsageError
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.dataset_service_pb2 import (
    DeleteDatasetRequest,
    GetDatasetRequest,
    ListDatasetsRequest,
    UploadDatasetHeader,
    UploadDatasetRequest,
)
from heatproof.v1.dataset_service_pb2_grpc import DatasetServiceStub
from heatproof.v1.image_pb2 import Image

_UPLOAD: Final = Rpc(DatasetServiceStub, "UploadDataset")
_GET: Final = Rpc(DatasetServiceStub, "GetDataset")
_LIST: Final = Rpc(DatasetServiceStub, "ListDatasets")
_DELETE: Final = Rpc(DatasetServiceStub, "DeleteDataset")

DATASET_PREFIX: Final = "datasets/sha256-"
"""What names of uploaded sets begin with; `datasets/photos` is the path of a folder."""

DatasetSource: TypeAlias = ImagesSource
"""Images, or the name `datasets/sha256-...` of an uploaded set."""


class AnnotationOptions(TypedDict, total=False):
    """What may be known about images; see `AnnotationSources`."""

    labels: LabelsSource | None
    masks: MasksSource | None
    maps: MapsSource | None
    groups: GroupsSource | None
    boxes: BoxesSource | None
    replacements: ReplacementsSource | None
    masks_frame: str
    maps_frame: str
    boxes_frame: str
    replacements_frame: str


def upload_dataset(
    images: DatasetSource,
    *,
    display_name: str = "",
    on_progress: OnProgress = ignore,
    timeout: float | None = None,
    **annotations: Unpack[AnnotationOptions],
) -> Flow[Dataset]:
    """Uploads images as a data set; the same ones again give the same set.

    Args:
        images: one or many images, a folder, or the name of an uploaded set.
        display_name: name to show.
        on_progress: is told of the upload.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
        **annotations: labels, groups, masks, boxes, maps and replacements; see `AnnotationSources`.
    """
    yield from limit(timeout)
    found = yield from gathered(images, annotations)
    return (yield from stored(found, display_name=display_name, on_progress=on_progress))


def upload_sample(
    images: DatasetSource,
    count: int,
    seed: int,
    on_progress: OnProgress,
    annotations: AnnotationOptions,
) -> Flow[Dataset]:
    """Uploads some of the images, drawn by a seed, with what is known about these; else all.

    Args:
        images: as of `upload_dataset`, but no uploaded set, of which none can be left out.
        count: how many; as many as there are if there are fewer.
        seed: of the draw.
        on_progress: is told of the upload.
        annotations: of all images.

    Raises:
        UsageError: as of `upload_dataset`, or the set is uploaded already.
    """
    found = yield from gathered(images, annotations)
    if isinstance(found, Dataset):
        raise UsageError(f"{found.name} is uploaded as a whole: leave the number of images out")
    return (yield from stored(found.sample(count, seed), on_progress=on_progress))


@dataclass(frozen=True, slots=True)
class Gathered:
    """Images that are found and not sent yet.

    Attributes:
        images: the images.
        known: what is known about each.
        name: the folder they come from; "" if there is none.
    """

    images: tuple[NamedImage, ...]
    known: Annotations
    name: str

    def sample(self, count: int, seed: int) -> "Gathered":
        """Some of them, drawn by a seed, in their order; all if there are no more."""
        every = range(len(self.images))
        places = sorted(Random(seed).sample(every, min(count, len(every))))  # noqa: S311  # no secret
        images = tuple(self.images[place] for place in places)
        return Gathered(images, self.known.at(places), self.name)


def gathered(images: DatasetSource, annotations: AnnotationOptions) -> Flow[Gathered | Dataset]:
    """Finds images and what is known about them, or an uploaded set; sends nothing.

    Raises:
        UsageError: there are no images, or something is known of images that are not among them.
    """
    if isinstance(images, str) and images.startswith(DATASET_PREFIX):
        _refuse_annotations(images, annotations)
        return (yield from get_dataset(images))
    sources = AnnotationSources(**annotations)
    listed, known = yield from work(partial(annotated, images, sources))
    return Gathered(listed, known, _folder_name(images))


def get_dataset(name: str) -> Flow[Dataset]:
    """The data set of a name, `datasets/sha256-...`."""
    found: Dataset = yield from patiently(Unary(_GET, GetDatasetRequest(name=name)))
    return found


def stored(
    found: Gathered | Dataset, *, display_name: str = "", on_progress: OnProgress = ignore
) -> Flow[Dataset]:
    """Uploads images unless they are an uploaded set.

    The set goes by the caller's name for it, whatever its first uploader called it.
    """
    if isinstance(found, Dataset):
        return found
    header = UploadDatasetHeader(display_name=display_name or found.name)
    requests = partial(_requests, header, found.images, found.known, on_progress)
    uploaded: Dataset = yield from patiently(Upload(_UPLOAD, requests))
    uploaded.display_name = header.display_name
    return uploaded


def _refuse_annotations(name: str, annotations: AnnotationOptions) -> None:
    kinds = ("labels", "groups", "masks", "boxes", "maps", "replacements")
    given = [kind for kind in kinds if annotations.get(kind) is not None]
    if given:
        raise UsageError(
            f"{name} is uploaded, and its {given[0]} with it: leave {given[0]} out, or give the "
            "images again"
        )


def annotated(
    images: ImagesSource, sources: AnnotationSources
) -> tuple[tuple[NamedImage, ...], Annotations]:
    """Lists images and finds what is known about each."""
    found = collect(images)
    return found, sources.read(found)


def message(index: int, image: NamedImage, known: Annotations) -> Image:
    """Reads an image and adds what is known about it."""
    loaded = image.load()
    loaded.display_name = image.name
    return known.add(index, loaded)


def _folder_name(images: DatasetSource) -> str:
    return Path(images).name if isinstance(images, str | os.PathLike) else ""


def _requests(
    header: UploadDatasetHeader,
    images: Sequence[NamedImage],
    known: Annotations,
    on_progress: OnProgress,
) -> Iterator[UploadDatasetRequest]:
    yield UploadDatasetRequest(header=header)
    for index, image in enumerate(images):
        yield UploadDatasetRequest(image=message(index, image, known))
        on_progress(Progress(Stage.UPLOAD_IMAGES, index + 1, len(images)))


def datasets(*, timeout: float | None = None) -> Flow[tuple[Dataset, ...]]:
    """Lists the data sets that the server stores, newest first.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    found = yield from every(_LIST, lambda token: ListDatasetsRequest(page_token=token), "datasets")
    return tuple(found)


def delete_dataset(name: str, *, timeout: float | None = None) -> Flow[None]:
    """Deletes a data set.

    Args:
        name: `datasets/sha256-...`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    yield from patiently(Unary(_DELETE, DeleteDatasetRequest(name=name)))
