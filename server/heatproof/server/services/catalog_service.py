"""The RPC that lists what this server can compute."""

from heatproof.server.catalogue import catalogue
from heatproof.server.codec import encode
from heatproof.server.interceptors.guard import Context
from heatproof.v1 import catalog_service_pb2 as pb
from heatproof.v1 import catalog_service_pb2_grpc


class CatalogService(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Lists what this server can compute."""

    async def GetCatalog(self, request: pb.GetCatalogRequest, context: Context) -> pb.Catalog:
        """Lists the registries."""
        return encode(catalogue(), pb.Catalog)
