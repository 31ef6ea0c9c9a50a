"""The RPCs that evaluate explanations."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf import empty_pb2

from heatproof.evaluators.comparison.quantities import require_comparable_models
from heatproof.evaluators.reliability.trials import require_triable
from heatproof.server.api.codec.consistency_weights import consistency_weight, weighing_result
from heatproof.server.api.codec.evaluation_messages import (
    decode_baseline,
    decode_rules,
    encode_created,
    encode_evaluated,
    encode_listed,
    encode_verdict,
    listed_results,
    view_columns,
)
from heatproof.server.api.codec.evaluations import (
    decode_spec,
    encode_evaluation,
    read_image_result,
    read_spec,
)
from heatproof.server.api.codec.images import decode_images
from heatproof.server.api.codec.listing import Listing, image_result_parts
from heatproof.server.api.comparisons import decode_comparison_rules, encode_comparison
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.evaluations.assembly import Evaluations
from heatproof.server.evaluations.creation import SpecCheck
from heatproof.server.evaluations.inline import MAX_INLINE_IMAGES
from heatproof.server.resource_names import EvaluationName
from heatproof.server.storage.pages import PageRequest
from heatproof.server.workers.limits import Limits
from heatproof.v1 import (
    comparison_pb2,
    evaluation_pb2,
    evaluation_service_pb2_grpc,
    gate_pb2,
    reliability_pb2,
    results_pb2,
)
from heatproof.v1 import evaluation_service_pb2 as pb

_CHECKS: Final[Mapping[str, SpecCheck]] = MappingProxyType(
    {"compare": require_comparable_models, "assess": require_triable}
)
"""Fields of a request that say what will be asked of the results, and what that refuses."""


class EvaluationService(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    """Evaluates explanations."""

    def __init__(self, evaluations: Evaluations, limits: Limits) -> None:
        self._evaluations = evaluations
        self._limits = limits

    async def Evaluate(self, request: pb.EvaluateRequest, context: Context) -> pb.EvaluateResponse:
        """Evaluates a few images while the caller waits."""
        spec = decode_spec(request.spec)
        images = await decode_images(request.images, self._limits, MAX_INLINE_IMAGES)
        return encode_evaluated(await self._evaluations.inline.evaluate(spec, images))

    async def CreateEvaluation(
        self, request: pb.CreateEvaluationRequest, context: Context
    ) -> pb.CreateEvaluationResponse:
        """Takes an evaluation in, or only counts what it would compute."""
        creation = self._evaluations.creation
        spec, rules = decode_spec(request.spec), decode_rules(request)
        checks = [check for field, check in _CHECKS.items() if getattr(request, field)]
        offer = await creation.offer(spec, request.request_id, rules, checks)
        stored = None if request.validate_only else await creation.create(offer)
        return encode_created(offer, stored)

    async def GetEvaluation(
        self, request: pb.GetEvaluationRequest, context: Context
    ) -> evaluation_pb2.Evaluation:
        """Finds an evaluation."""
        name = EvaluationName.parse(request.name)
        return encode_evaluation(await self._evaluations.scheduler.snapshot(name))

    async def ListEvaluations(
        self, request: pb.ListEvaluationsRequest, context: Context
    ) -> pb.ListEvaluationsResponse:
        """Lists evaluations, newest first."""
        wanted = PageRequest.parse(request.page_size, request.page_token)
        listing = Listing(encode_listed)
        page = await self._evaluations.scheduler.page(wanted, listing.takes)
        return pb.ListEvaluationsResponse(
            evaluations=listing.messages, next_page_token=page.next_token
        )

    async def WatchEvaluation(
        self, request: pb.WatchEvaluationRequest, context: Context
    ) -> AsyncIterator[evaluation_pb2.Evaluation]:
        """Follows an evaluation to its end."""
        async for stored in self._evaluations.watch(EvaluationName.parse(request.name)):
            yield encode_evaluation(stored)

    async def CancelEvaluation(
        self, request: pb.CancelEvaluationRequest, context: Context
    ) -> evaluation_pb2.Evaluation:
        """Asks an evaluation to end."""
        name = EvaluationName.parse(request.name)
        await self._evaluations.scheduler.cancel(name)
        return encode_evaluation(await self._evaluations.scheduler.snapshot(name))

    async def DeleteEvaluation(
        self, request: pb.DeleteEvaluationRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes an evaluation that has ended."""
        name = EvaluationName.parse(request.name)
        await self._evaluations.scheduler.delete(name)
        return empty_pb2.Empty()

    async def ListMetricResults(
        self, request: pb.ListMetricResultsRequest, context: Context
    ) -> AsyncIterator[results_pb2.MetricResult]:
        """Sends the scores over the data set that match the filters."""
        name = EvaluationName.parse(request.name)
        stored = await self._evaluations.scheduler.snapshot(name)
        for result in await asyncio.to_thread(listed_results, stored, request):
            yield result

    async def ListImageResults(
        self, request: pb.ListImageResultsRequest, context: Context
    ) -> AsyncIterator[results_pb2.ImageResult]:
        """Sends the results of the images, in the order of the data set."""
        name, columns = EvaluationName.parse(request.name), view_columns(request.view)
        async for row in self._evaluations.image_rows(name, *columns):
            for part in image_result_parts(row):
                yield part

    async def ListConsistencyWeights(
        self, request: pb.ListConsistencyWeightsRequest, context: Context
    ) -> AsyncIterator[results_pb2.ConsistencyWeight]:
        """Sends the weight of each image, in the order of the data set."""
        name = EvaluationName.parse(request.name)
        stored = await self._evaluations.scheduler.snapshot(name)
        result = weighing_result(await asyncio.to_thread(read_spec, stored.spec), request)
        async for row in self._evaluations.image_rows(name, "basic"):
            weight = consistency_weight(read_image_result(row), result)
            if weight is not None:
                yield weight

    async def GateEvaluation(
        self, request: pb.GateEvaluationRequest, context: Context
    ) -> gate_pb2.Verdict:
        """Judges an evaluation by a policy."""
        name, policy = EvaluationName.parse(request.name), request.policy.SerializeToString()
        baseline = await asyncio.to_thread(decode_baseline, request)
        gates = self._evaluations.gates
        return encode_verdict(await gates.judge(name, request.model, policy, baseline))

    async def CompareModels(
        self, request: pb.CompareModelsRequest, context: Context
    ) -> AsyncIterator[comparison_pb2.ModelComparison]:
        """Compares the models of an evaluation, quantity by quantity."""
        name, rules = EvaluationName.parse(request.name), decode_comparison_rules(request)
        async for found in self._evaluations.comparisons.compare(name, rules):
            yield encode_comparison(found)

    async def AssessMetrics(
        self, request: pb.AssessMetricsRequest, context: Context
    ) -> AsyncIterator[reliability_pb2.MetricReliability]:
        """Says which metrics of an evaluation deserve trust."""
        async for found in self._evaluations.assessments.assess(EvaluationName.parse(request.name)):
            yield reliability_pb2.MetricReliability.FromString(found)
