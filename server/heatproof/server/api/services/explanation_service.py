"""The RPC that computes attribution maps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from heatproof.server.api.codec.explanations import decode_explain
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.models.model_store import ModelStore
from heatproof.server.resource_names import ModelName
from heatproof.server.workers.limits import Limits
from heatproof.server.workers.protocol import Workers
from heatproof.v1 import explanation_service_pb2 as pb
from heatproof.v1 import explanation_service_pb2_grpc


class ExplanationService(explanation_service_pb2_grpc.ExplanationServiceServicer):
    """Computes attribution maps."""

    def __init__(self, models: ModelStore, workers: Workers, limits: Limits) -> None:
        self._models = models
        self._workers = workers
        self._limits = limits

    async def Explain(
        self, request: pb.ExplainRequest, context: Context
    ) -> AsyncIterator[pb.Explanation]:
        """Explains images, one map a message."""
        name = ModelName.parse(request.model, field="model")
        model = await asyncio.to_thread(self._models.files, name, field="model")
        stored = await asyncio.to_thread(self._models.get, name, field="model")
        task = await decode_explain(request, model, stored.facts, self._limits)
        async with aclosing(self._workers.stream(task)) as explanations:
            async for explanation in explanations:
                yield pb.Explanation.FromString(explanation)
