"""Where a server listens."""

from pathlib import Path

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.settings import Settings


def bind(server: aio.Server, settings: Settings) -> str:
    """Binds a server to its address and returns the one that clients dial.

    Raises:
        FailedPreconditionError: the address is taken or cannot be bound.
    """
    try:
        port = _bound_port(server, settings)
    except RuntimeError as error:
        raise FailedPreconditionError(
            f"cannot listen on {settings.address}; it is in use or not of this machine: choose "
            "another address, or port 0 for a free one"
        ) from error
    if settings.address.startswith("unix:"):
        return settings.address
    host, _, _ = settings.address.rpartition(":")
    return f"{host}:{port}"


def _bound_port(server: aio.Server, settings: Settings) -> int:
    if settings.tls_certificate and settings.tls_key:
        return server.add_secure_port(settings.address, _credentials(settings))
    return server.add_insecure_port(settings.address)


def _credentials(settings: Settings) -> grpc.ServerCredentials:
    key, certificate = _read(settings.tls_key), _read(settings.tls_certificate)
    authorities = _read(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def _read(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError as error:
        raise FailedPreconditionError(f"cannot read {path}: {error.strerror}") from error
