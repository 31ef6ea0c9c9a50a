"""What the blocking client and that for event loops are before they differ."""

from abc import ABC, abstractmethod
from typing import Generic, Self, TypeVar

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.client.clients.connections.addresses import Address, Tls
from heatproof.client.clients.connections.connection import Connection
from heatproof.client.clients.connections.embedded import EmbeddedServer
from heatproof.client.clients.deadlines import Deadline

Channel = TypeVar("Channel", grpc.Channel, aio.Channel)


class ConnectedClient(ABC, Generic[Channel]):
    """A connection to a server, and how long a method may take.

    Args:
        channel: a gRPC channel; it is closed with the client.
        server: the server that the channel leads to, if it is the client's own.
        timeout: most seconds of a method, uploads and waiting included; None: as long as it takes.
        address: where the channel leads, for the words of errors.
    """

    def __init__(
        self,
        channel: Channel,
        server: EmbeddedServer | None = None,
        *,
        timeout: float | None = None,
        address: Address | None = None,
    ) -> None:
        self._channel: Channel = channel
        self._connection = Connection(channel, server, address)
        self._timeout = timeout

    @staticmethod
    @abstractmethod
    def _open(address: Address) -> Channel:
        """A channel to an address."""

    @classmethod
    def connect(cls, address: str, tls: Tls | None = None, *, timeout: float | None = None) -> Self:
        """Connects to a server; nothing is sent before the first call.

        Args:
            address: `host:port`, `grpcs://host:port` or `unix:path`.
            tls: files of a TLS connection.
            timeout: most seconds of each method; None: as long as it takes.
        """
        found = Address.parse(address, tls)
        return cls(cls._open(found), timeout=timeout, address=found)

    def with_timeout(self, seconds: float | None) -> Self:
        """The same client, whose methods take at most so many seconds each.

        Uploads and waiting count. It shares the connection: closing one closes both. A method's own
        `timeout` is stronger.

        Args:
            seconds: above 0; None: as long as it takes.
        """
        Deadline(seconds)  # refuses what is no time
        server, address = self._connection.server, self._connection.address
        return type(self)(self._channel, server, timeout=seconds, address=address)
