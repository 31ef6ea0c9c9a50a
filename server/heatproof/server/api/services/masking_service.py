"""The RPC that hides regions of an image from a model."""

import asyncio

from heatproof.server.api.codec.explanations import decode_predict
from heatproof.server.api.codec.facts import classes_of
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.models.model_store import ModelStore
from heatproof.server.resource_names import ModelName
from heatproof.server.workers.limits import Limits
from heatproof.server.workers.protocol import Workers
from heatproof.v1 import masking_service_pb2 as pb
from heatproof.v1 import masking_service_pb2_grpc


class MaskingService(masking_service_pb2_grpc.MaskingServiceServicer):
    """Predicts images under masks."""

    def __init__(self, models: ModelStore, workers: Workers, limits: Limits) -> None:
        self._models = models
        self._workers = workers
        self._limits = limits

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        """Predicts one image under masks."""
        name = ModelName.parse(request.model, field="model")
        stored = await asyncio.to_thread(self._models.get, name, field="model")
        model = await asyncio.to_thread(self._models.files, name, field="model")
        task = await decode_predict(
            request, model, classes=classes_of(stored.facts, request.output), limits=self._limits
        )
        return pb.PredictResponse.FromString(await self._workers.call(task))
