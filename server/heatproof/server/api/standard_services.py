"""Health and reflection."""

from collections.abc import Sequence
from typing import Final, Protocol, cast

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

_REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"


class Probe(Protocol):
    """The health service."""

    async def set(self, service: str, status: int) -> None:
        """Says how a service is."""
        ...

    async def enter_graceful_shutdown(self) -> None:
        """Says that no service takes calls any more."""
        ...


async def add(server: aio.Server, names: Sequence[str]) -> Probe:
    """Adds health and reflection for the services of these names; returns the health service."""
    probe = health.aio.HealthServicer()  # type: ignore[attr-defined]  # missing in the stubs
    for name in names:
        await probe.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(probe, server)
    listed = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME, _REFLECTION_V1)
    reflection.enable_server_reflection(listed, server)
    _add_reflection_v1(server, listed)
    return cast("Probe", probe)


def _add_reflection_v1(server: aio.Server, names: Sequence[str]) -> None:
    """Serves the released name of the protocol, whose messages are those of its alpha."""
    servicer = reflection.aio.ReflectionServicer(names)  # type: ignore[attr-defined]  # as above
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(
        _REFLECTION_V1, {"ServerReflectionInfo": handler}
    )
    server.add_generic_rpc_handlers((generic,))
