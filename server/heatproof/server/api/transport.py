"""Where a server listens."""

import os
import socket
import ssl
from pathlib import Path

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.settings import LONGEST_SOCKET_PATH, Settings


def bind(server: aio.Server, settings: Settings) -> str:
    """Binds a server to its address and returns the one that clients dial.

    Raises:
        FailedPreconditionError: the address is taken or cannot be bound, or the key pair is none.
    """
    if settings.address.startswith("unix:"):
        _check_socket(settings.address.removeprefix("unix:"))
    else:
        _check_port(settings.address)
    try:
        port = _bound_port(server, settings)
    except RuntimeError as error:
        raise _unusable(settings.address, "it is in use or not of this machine") from error
    if settings.address.startswith("unix:"):
        return settings.address
    host, _, _ = settings.address.rpartition(":")
    return f"{host}:{port}"


def _unusable(address: str, fault: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"cannot listen on {address}: {fault}; choose another address, or port 0 for a free one"
    )


def _check_port(address: str) -> None:
    """Binds once before gRPC does, which would only say that it failed."""
    host, _, port = address.rpartition(":")
    if host == "*":  # gRPC's own word for every address
        return
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(place)
    except OSError as error:
        raise _unusable(address, (error.strerror or str(error)).lower()) from error


def _check_socket(path: str) -> None:
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise FailedPreconditionError(
            f"the path of the socket {path} has more than {LONGEST_SOCKET_PATH} bytes, the most "
            "that Linux takes; choose a shorter one"
        )
    folder = Path(path).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FailedPreconditionError(
            f"cannot make a socket in {folder}: it is no folder that this user may write; create "
            "it, or choose another"
        )


def _bound_port(server: aio.Server, settings: Settings) -> int:
    if settings.tls_certificate and settings.tls_key:
        return server.add_secure_port(settings.address, _credentials(settings))
    return server.add_insecure_port(settings.address)


def _credentials(settings: Settings) -> grpc.ServerCredentials:
    _check_pair(settings)
    key, certificate = _read(settings.tls_key), _read(settings.tls_certificate)
    authorities = _read(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def _check_pair(settings: Settings) -> None:
    """Has OpenSSL read what gRPC would only say that it cannot bind with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = settings.tls_certificate, settings.tls_key
    for path in (*pair, settings.tls_client_ca):
        _read(path)
    try:
        # An encrypted key would have OpenSSL ask for its password.
        context.load_cert_chain(str(pair[0]), str(pair[1]), password=lambda: "")
        if settings.tls_client_ca:
            context.load_verify_locations(str(settings.tls_client_ca))
    except (OSError, ValueError) as error:
        files = ", ".join(str(path) for path in (*pair, settings.tls_client_ca) if path)
        raise FailedPreconditionError(
            f"{files} are no PEM certificate with its private key, unencrypted, and authorities: "
            f"{getattr(error, 'reason', None) or 'unreadable'}; check them with openssl"
        ) from error


def _read(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError as error:
        raise FailedPreconditionError(f"cannot read {path}: {error.strerror}") from error
