"""The catalog: what a server can compute, and what runs it."""

from typing import Final

from heatproof.client.clients.effects import Flow, Rpc, Unary, limit
from heatproof.client.clients.retries import patiently
from heatproof.v1.catalog_service_pb2 import (
    Catalog,
    GetCatalogRequest,
    GetServerInfoRequest,
    ServerInfo,
)
from heatproof.v1.catalog_service_pb2_grpc import CatalogServiceStub

_GET: Final = Rpc(CatalogServiceStub, "GetCatalog")
GET_SERVER_INFO: Final = Rpc(CatalogServiceStub, "GetServerInfo")


def catalog(*, timeout: float | None = None) -> Flow[Catalog]:
    """Gets metrics, explainers and removal operators with their parameters and references.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    found: Catalog = yield from patiently(Unary(_GET, GetCatalogRequest()))
    return found


def server_info(*, timeout: float | None = None) -> Flow[ServerInfo]:
    """Gets versions, the sandbox of the workers, and the server's limits of time and memory.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    info: ServerInfo = yield from patiently(Unary(GET_SERVER_INFO, GetServerInfoRequest()))
    return info
