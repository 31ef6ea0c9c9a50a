"""The catalogue: what a server can compute."""

from typing import Final

from heatproof.client.calls import Flow, Rpc, Unary
from heatproof.client.retries import patiently
from heatproof.v1.catalog_service_pb2 import Catalog, GetCatalogRequest
from heatproof.v1.catalog_service_pb2_grpc import CatalogServiceStub

GET: Final = Rpc(CatalogServiceStub, "GetCatalog")


def metrics() -> Flow[Catalog]:
    """Gets metrics, explainers and removal operators with their parameters and references."""
    catalog: Catalog = yield from patiently(Unary(GET, GetCatalogRequest()))
    return catalog
