"""Where a server is and how to reach it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from heatproof.client.errors import AddressError, UsageError

OPTIONS: Final = (
    # Replies stay under 4 MiB by contract; the bound only keeps a foreign server from flooding us.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),  # the server says what it takes
    # Servers allow a ping in 30 s. One that hangs, or a way that is cut, is noticed in 50 s.
    ("grpc.keepalive_time_ms", 40_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The answer to such a ping has a time of its own, by default a minute.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Also bounds a single attempt to connect.
    ("grpc.min_reconnect_backoff_ms", 5_000),
)

_HOST_PORT: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/\[\]\s]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS connection, all PEM.

    Attributes:
        ca: certificates of the authorities to trust; None: those of gRPC.
        certificate: the client's own certificate, where the server asks for one.
        key: its private key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            UsageError: a file is missing, or a certificate comes without its key.
        """
        if (self.certificate is None) != (self.key is None):
            raise UsageError("a TLS client certificate and its key go together: give both")
        ca, key, certificate = map(_read, (self.ca, self.key, self.certificate))
        return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read TLS file {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Address:
    """A gRPC target, with TLS or without.

    Attributes:
        target: as gRPC writes it, such as `localhost:50051` or `unix:/run/heatproof.sock`.
        tls: None for plain text.
    """

    target: str
    tls: Tls | None = None
    options: tuple[tuple[str, int], ...] = field(default=OPTIONS, repr=False)

    @classmethod
    def parse(cls, text: str, tls: Tls | None = None) -> "Address":
        """Reads `host:port`, `grpc://host:port`, `grpcs://host:port` or `unix:path`.

        Args:
            text: the address; TLS is used with `grpcs://`, and whenever `tls` is given.
            tls: files of the TLS connection.

        Raises:
            AddressError: the text is no such address.
        """
        scheme, separator, rest = text.strip().partition("://")
        if not separator:
            scheme, rest = "", scheme
        if scheme == "unix" or rest.startswith("unix:"):
            return cls(f"unix:{_socket_path(text, rest.removeprefix('unix:'), tls)}")
        if scheme not in {"", "grpc", "grpcs"} or not _is_host_port(rest):
            raise AddressError(
                f"{text!r} is no server address: write host:port, grpcs://host:port or unix:/path"
            )
        return cls(rest, tls or (Tls() if scheme == "grpcs" else None))


def _is_host_port(text: str) -> bool:
    match = _HOST_PORT.fullmatch(text)
    return match is not None and 0 < int(match["port"]) < 2**16


def _socket_path(text: str, path: str, tls: Tls | None) -> str:
    if not path:
        raise AddressError(f"{text!r} names no socket: write unix:/path")
    if tls is not None:
        raise UsageError(f"{text!r} is a socket of this machine: it takes no TLS options")
    return path
