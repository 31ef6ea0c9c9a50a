"""Adds the services to a server."""

from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.server.api.server_info import ServerInfo
from heatproof.server.api.services.baseline_service import BaselineService
from heatproof.server.api.services.catalog_service import CatalogService
from heatproof.server.api.services.dataset_service import DatasetService
from heatproof.server.api.services.evaluation_service import EvaluationService
from heatproof.server.api.services.explanation_service import ExplanationService
from heatproof.server.api.services.masking_service import MaskingService
from heatproof.server.api.services.model_service import ModelService
from heatproof.server.datasets.uploads import DatasetUploads
from heatproof.server.evaluations.assembly import Evaluations
from heatproof.server.models.downloads import ModelDownloads
from heatproof.server.models.uploads import ModelUploads
from heatproof.server.settings import Settings
from heatproof.server.stores import Stores
from heatproof.server.workers.limits import Limits
from heatproof.server.workers.protocol import Workers
from heatproof.v1 import (
    baseline_service_pb2,
    baseline_service_pb2_grpc,
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    explanation_service_pb2,
    explanation_service_pb2_grpc,
    masking_service_pb2,
    masking_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)

_FILES = (
    baseline_service_pb2,
    catalog_service_pb2,
    dataset_service_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    masking_service_pb2,
    model_service_pb2,
)


def add_services(
    server: aio.Server,
    settings: Settings,
    stores: Stores,
    workers: Workers,
    evaluations: Evaluations,
    *,
    info: ServerInfo,
) -> tuple[str, ...]:
    """Adds every service of the contract and returns their names."""
    limits = settings.limits
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogService(info), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _model_service(stores, workers, limits), server
    )
    dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(
        _dataset_service(stores, workers, limits), server
    )
    explanation_service_pb2_grpc.add_ExplanationServiceServicer_to_server(
        ExplanationService(stores.models, workers, limits), server
    )
    masking_service_pb2_grpc.add_MaskingServiceServicer_to_server(
        MaskingService(stores.models, workers, limits), server
    )
    evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server(
        EvaluationService(evaluations, limits), server
    )
    baseline_service_pb2_grpc.add_BaselineServiceServicer_to_server(
        BaselineService(evaluations.baselines), server
    )
    return tuple(
        service.full_name
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
    )


def _model_service(stores: Stores, workers: Workers, limits: Limits) -> ModelService:
    uploads = ModelUploads(stores.models, workers, max_bytes=limits.max_model_bytes)
    return ModelService(stores.models, uploads, ModelDownloads(stores.models, workers))


def _dataset_service(stores: Stores, workers: Workers, limits: Limits) -> DatasetService:
    uploads = DatasetUploads(stores.datasets, workers, limits)
    return DatasetService(stores.datasets, uploads, limits)
