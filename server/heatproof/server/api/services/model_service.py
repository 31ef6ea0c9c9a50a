"""The RPCs that store and rewrite models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from google.protobuf import empty_pb2

from heatproof.server.api.codec import decode
from heatproof.server.api.codec.fields.statements import decode_statement
from heatproof.server.api.codec.listing import Listing
from heatproof.server.api.codec.models import decode_rewrite, encode_download, encode_model
from heatproof.server.api.codec.streams import read_header, read_items
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.models.downloads import ModelDownloads
from heatproof.server.models.model_store import ModelStore
from heatproof.server.models.transfers import Chunk
from heatproof.server.models.uploads import ModelUploads, UploadModelHeader
from heatproof.server.resource_names import ModelName
from heatproof.server.storage.pages import PageRequest
from heatproof.v1 import model_pb2, model_service_pb2_grpc
from heatproof.v1 import model_service_pb2 as pb


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Stores ONNX models and rewrites them."""

    def __init__(self, store: ModelStore, uploads: ModelUploads, downloads: ModelDownloads) -> None:
        self._store = store
        self._uploads = uploads
        self._downloads = downloads

    async def UploadModel(
        self, request_iterator: AsyncIterator[pb.UploadModelRequest], context: Context
    ) -> model_pb2.Model:
        """Stores a model that comes in pieces."""
        header = await read_header(request_iterator, UploadModelHeader)
        chunks = (decode(chunk, Chunk) async for chunk in read_items(request_iterator, "chunk"))
        return encode_model(await self._uploads.take(header, chunks))

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> model_pb2.Model:
        """Finds a model."""
        name = ModelName.parse(request.name)
        stated = decode_statement(request.output, request.activation)
        return encode_model(await self._uploads.described(name, stated))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """Lists models, newest first."""
        wanted = PageRequest.parse(request.page_size, request.page_token)
        listing = Listing(encode_model)
        page = await asyncio.to_thread(self._store.page, wanted, listing.takes)
        return pb.ListModelsResponse(models=listing.messages, next_page_token=page.next_token)

    async def DeleteModel(
        self, request: pb.DeleteModelRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a model."""
        await asyncio.to_thread(self._store.delete, ModelName.parse(request.name))
        return empty_pb2.Empty()

    async def DownloadModel(
        self, request: pb.DownloadModelRequest, context: Context
    ) -> AsyncIterator[pb.DownloadModelResponse]:
        """Sends the files of a model, as uploaded or rewritten."""
        name, rewrite = ModelName.parse(request.name), decode_rewrite(request)
        # A caller who leaves ends this generator, and with it those inside at once.
        async with aclosing(self._downloads.send(name, rewrite, request.file_name)) as parts:
            async for part in parts:
                yield encode_download(part)
