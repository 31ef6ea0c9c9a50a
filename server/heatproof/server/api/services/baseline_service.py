"""The RPCs that keep by name what candidates are held against."""

import asyncio

from google.protobuf import empty_pb2

from heatproof.server.api.baselines import decode_setting, encode_baseline, encode_revision
from heatproof.server.api.codec.listing import Listing
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.resource_names import BaselineName
from heatproof.server.storage.pages import PageRequest
from heatproof.v1 import baseline_pb2, baseline_service_pb2_grpc
from heatproof.v1 import baseline_service_pb2 as pb


class BaselineService(baseline_service_pb2_grpc.BaselineServiceServicer):
    """Keeps by name what candidates are held against."""

    def __init__(self, baselines: Baselines) -> None:
        self._baselines = baselines

    async def SetBaseline(
        self, request: pb.SetBaselineRequest, context: Context
    ) -> baseline_pb2.NamedBaseline:
        """Sets a baseline to an evaluation."""
        name = BaselineName.parse(request.name)
        asked = await asyncio.to_thread(decode_setting, request)
        return encode_baseline(await self._baselines.set(name, asked))

    async def GetBaseline(
        self, request: pb.GetBaselineRequest, context: Context
    ) -> baseline_pb2.NamedBaseline:
        """Finds a baseline."""
        name = BaselineName.parse(request.name)
        return encode_baseline(await asyncio.to_thread(self._baselines.store.get, name))

    async def ListBaselines(
        self, request: pb.ListBaselinesRequest, context: Context
    ) -> pb.ListBaselinesResponse:
        """Lists baselines, the last created first."""
        wanted = PageRequest.parse(request.page_size, request.page_token)
        listing = Listing(encode_baseline)
        page = await asyncio.to_thread(self._baselines.store.page, wanted, listing.takes)
        return pb.ListBaselinesResponse(baselines=listing.messages, next_page_token=page.next_token)

    async def DeleteBaseline(
        self, request: pb.DeleteBaselineRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a baseline with its history."""
        name = BaselineName.parse(request.name)
        await asyncio.to_thread(self._baselines.store.delete, name)
        return empty_pb2.Empty()

    async def ListBaselineRevisions(
        self, request: pb.ListBaselineRevisionsRequest, context: Context
    ) -> pb.ListBaselineRevisionsResponse:
        """Lists what a baseline has been set to, newest first."""
        name = BaselineName.parse(request.name)
        wanted = PageRequest.parse(request.page_size, request.page_token)
        listing = Listing(encode_revision)
        page = await asyncio.to_thread(self._baselines.store.history, name, wanted, listing.takes)
        return pb.ListBaselineRevisionsResponse(
            revisions=listing.messages, next_page_token=page.next_token
        )
