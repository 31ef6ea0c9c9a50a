"""A channel to a server, and the server itself if it is the client's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.client.clients.connections.addresses import Address
from heatproof.client.clients.connections.embedded import EmbeddedServer
from heatproof.client.clients.connections.faults import explained
from heatproof.client.clients.connections.statuses import service_error
from heatproof.client.clients.effects import Rpc
from heatproof.client.errors import HeatproofError, InternalError, UnavailableError


@dataclass(frozen=True, slots=True)
class Connection:
    """What both clients stand on.

    Attributes:
        channel: blocking or for an event loop; the generated stubs take either.
        server: the client's own server, if the channel leads to one.
        address: where the channel leads; None: it is the caller's own.
    """

    channel: grpc.Channel | aio.Channel
    server: EmbeddedServer | None = None
    address: Address | None = None

    def method(self, rpc: Rpc) -> Callable[..., Any]:
        """The callable behind a method of the contract."""
        method: Callable[..., Any] = getattr(rpc.stub(self.channel), rpc.method)
        return method

    def failure(self, failed: grpc.RpcError) -> HeatproofError:
        """Why a call failed: as its status says, or by the death of the client's own server."""
        told = service_error(failed)
        error = type(told)(explained(told.status, self.address))
        if self.server is None:
            return error
        if isinstance(error, InternalError):
            error.add_note(f"the local server's log ends so:\n{self.server.log_tail()}")
        if isinstance(error, UnavailableError):
            return self.server.failure() or error
        return error

    def end_server(self) -> None:
        """Ends the client's own server, if there is one."""
        if self.server is not None:
            self.server.close()
