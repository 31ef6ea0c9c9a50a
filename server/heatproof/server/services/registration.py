"""Adds the services to a server."""

from grpc import aio

from heatproof.server.model_downloads import ModelDownloads
from heatproof.server.model_uploads import ModelUploads
from heatproof.server.services.catalog_service import CatalogService
from heatproof.server.services.model_service import ModelService
from heatproof.server.settings import Settings
from heatproof.server.stores.opening import Stores
from heatproof.server.workers.protocol import Workers
from heatproof.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)


def add_services(
    server: aio.Server, settings: Settings, stores: Stores, workers: Workers
) -> tuple[str, ...]:
    """Adds every service of the contract and returns their names."""
    uploads = ModelUploads(stores.models, workers, max_bytes=settings.max_model_bytes)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(stores.models, uploads, ModelDownloads(stores.models, workers)), server
    )
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogService(), server)
    files = (model_service_pb2, catalog_service_pb2)
    return tuple(
        service.full_name for file in files for service in file.DESCRIPTOR.services_by_name.values()
    )
