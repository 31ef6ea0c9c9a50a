"""The RPCs that tell what this server can compute, and what runs it."""

from heatproof.server.api.catalog import catalogue
from heatproof.server.api.codec import encode
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.api.server_info import ServerInfo
from heatproof.v1 import catalog_service_pb2 as pb
from heatproof.v1 import catalog_service_pb2_grpc


class CatalogService(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Tells what this server can compute, and what runs it."""

    def __init__(self, info: ServerInfo) -> None:
        self._info = info

    async def GetCatalog(self, request: pb.GetCatalogRequest, context: Context) -> pb.Catalog:
        """Lists the registries."""
        return encode(catalogue(), pb.Catalog)

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.ServerInfo:
        """Tells versions, the sandbox and the limits."""
        return encode(self._info, pb.ServerInfo)
