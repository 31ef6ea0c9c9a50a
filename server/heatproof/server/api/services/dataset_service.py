"""The RPCs that store sets of images."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.protobuf import empty_pb2

from heatproof.server.api.codec.datasets import encode_dataset
from heatproof.server.api.codec.images import receive_images
from heatproof.server.api.codec.listing import Listing
from heatproof.server.api.codec.streams import read_header, read_items
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.datasets.dataset_store import DatasetStore
from heatproof.server.datasets.uploads import DatasetUploads
from heatproof.server.resource_names import DatasetName, check_display_name
from heatproof.server.storage.pages import PageRequest
from heatproof.server.workers.limits import Limits
from heatproof.v1 import dataset_pb2, dataset_service_pb2_grpc
from heatproof.v1 import dataset_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class UploadDatasetHeader:
    """Describes a data set; fields as in the message of the same name."""

    display_name: str = ""

    def __post_init__(self) -> None:
        check_display_name(self.display_name)


class DatasetService(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Stores sets of images."""

    def __init__(self, store: DatasetStore, uploads: DatasetUploads, limits: Limits) -> None:
        self._store = store
        self._uploads = uploads
        self._limits = limits

    async def UploadDataset(
        self, request_iterator: AsyncIterator[pb.UploadDatasetRequest], context: Context
    ) -> dataset_pb2.Dataset:
        """Stores a set of images that come one by one."""
        header = await read_header(request_iterator, UploadDatasetHeader)
        images = receive_images(read_items(request_iterator, "image"), self._limits)
        return encode_dataset(await self._uploads.take(header.display_name, images))

    async def GetDataset(
        self, request: pb.GetDatasetRequest, context: Context
    ) -> dataset_pb2.Dataset:
        """Finds a data set."""
        name = DatasetName.parse(request.name)
        return encode_dataset(await asyncio.to_thread(self._store.get, name))

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: Context
    ) -> pb.ListDatasetsResponse:
        """Lists data sets, newest first."""
        wanted = PageRequest.parse(request.page_size, request.page_token)
        listing = Listing(encode_dataset)
        page = await asyncio.to_thread(self._store.page, wanted, listing.takes)
        return pb.ListDatasetsResponse(datasets=listing.messages, next_page_token=page.next_token)

    async def DeleteDataset(
        self, request: pb.DeleteDatasetRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a data set."""
        await asyncio.to_thread(self._store.delete, DatasetName.parse(request.name))
        return empty_pb2.Empty()
