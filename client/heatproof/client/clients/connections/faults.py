"""What gRPC says by itself when it reaches no server, in words that name the way out."""

import re
import socket
from dataclasses import dataclass, replace
from typing import Final

from heatproof.client.clients.connections.addresses import Address
from heatproof.client.errors import Status


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a server is not reached.

    Attributes:
        says: what gRPC says, as a regular expression.
        means: what it means and the way out; `{address}` is the server's.
        code: of the status.
        is_slow: as of `Status`.
    """

    says: str
    means: str
    code: str = "UNAVAILABLE"
    is_slow: bool = False


_KNOCK_SECONDS: Final = 1.0
"""Seconds to find out whether a server listens."""

_SPEAKS_TEXT: Final = Fault(
    "WRONG_VERSION_NUMBER",
    "the server at {address} speaks plain text and was asked for TLS: write grpc:// in place of "
    "grpcs://, and leave the TLS options out",
)
"""What a server without TLS answers to whoever wants it."""

_REFUSED: Final = Fault(
    "refused",
    "no server listens at {address}: start one (heatproof serve), or correct the address",
)
"""What a machine says for a port without a server."""

_TLS: Final = (
    _SPEAKS_TEXT,
    Fault(
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate of the server at {address} is signed by nobody who is trusted: name the "
        "PEM file of its authority (--tls-ca, Tls(ca=...))",
    ),
    Fault(
        "not in peer certificate|Hostname Verification",
        "the certificate of the server at {address} is of another host: use the name that the "
        "certificate has",
    ),
    Fault(
        "CERTIFICATE_REQUIRED|handshake|Handshake",
        "the server at {address} refused the TLS connection: it may want a certificate of yours "
        "(--tls-certificate and --tls-key, Tls(certificate=..., key=...))",
    ),
)
"""Faults of connections with TLS, first match wins."""

_ANY: Final = (
    Fault(
        "[Nn]ame resolution|lookup (error|failed)|Domain name not found|errors? resolving",
        "the host of {address} is not known: correct the address, written as host:port",
    ),
    Fault(
        "No such file or directory",
        "there is no socket {address}: start a server there (heatproof serve --address "
        "{address}), or correct the path",
    ),
    _REFUSED,
    Fault(
        "http1|HTTP/1|HTTP/2|400 Bad Request|http status code",
        "what answers at {address} is no gRPC server: correct host or port",
    ),
    Fault(
        "keepalive|[Pp]ing timeout|[Tt]imed? ?out|[Dd]eadline",
        "the server at {address} has stopped answering: it hangs, or the way to it is cut",
        is_slow=True,
    ),
    Fault(
        "[Uu]nreachable|No route",
        "there is no way to {address}: check the network, a VPN or the firewall",
    ),
)
"""Faults of any connection, first match wins."""

_CLOSED: Final = Fault(
    "[Cc]losed|reset|GOAWAY|EOF|Broken pipe",
    "the server at {address} closed the connection: it was stopped, or wants TLS (grpcs://, "
    "Tls(...))",
)
"""What a server of TLS does to whoever speaks plain text, among others."""

_FOREIGN: Final = Fault(
    "",
    "what answers at {address} does not know this call: it is a server of another version of "
    "Heatproof, or of something else",
    code="UNIMPLEMENTED",
)


def explained(status: Status, address: Address | None) -> Status:
    """The status in words that name the way out, where no server of ours has spoken.

    Args:
        status: of a call that failed.
        address: of the server; None: a channel of the caller's own, which is not known.
    """
    if status.reason or address is None:
        return status
    faults = (*(_TLS if address.tls else ()), *_ANY, _CLOSED, _FOREIGN)
    for fault in faults:
        if status.code == fault.code and re.search(fault.says, status.message):
            if fault is _REFUSED and _listens(address.target):
                fault = _SPEAKS_TEXT if address.tls else _CLOSED  # noqa: PLW2901  # gRPC hid it
            told = fault.means.format(address=address.target)
            return replace(status, message=f"{told} ({status.message})", is_slow=fault.is_slow)
    return status


def _listens(target: str) -> bool:
    """Whether anything listens there; of a name's several addresses gRPC tells of the last only."""
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
