import socket
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from heatproof.client import Client, Tls, UnavailableError
from heatproof.client.clients.connections.addresses import Address
from heatproof.client.clients.connections.faults import explained
from heatproof.client.errors import InternalError, Status

pytestmark = pytest.mark.usefixtures("pauses")


def asked(address: str, tls: Tls | None = None) -> str:
    """What a client says of a server that it cannot speak with."""
    with Client.connect(address, tls) as client, pytest.raises(UnavailableError) as caught:
        client.catalog()
    return str(caught.value)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def web_server() -> Iterator[str]:
    """Answers whatever it is sent as a server of HTTP/1 does, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer, args=(listener,), daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _answer(listener: socket.socket) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        with caller:
            caller.recv(1024)
            caller.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_where_no_server_is_one_is_to_be_started(free_port: int) -> None:
    assert f"no server listens at 127.0.0.1:{free_port}: start one" in asked(
        f"127.0.0.1:{free_port}"
    )


def test_a_host_that_is_not_known_is_told_from_one_that_is_down() -> None:
    assert "the host of nowhere.invalid:1 is not known" in asked("nowhere.invalid:1")


def test_a_socket_that_is_not_there_is_named() -> None:
    assert "there is no socket unix:/no/such.sock" in asked("unix:/no/such.sock")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_for_a_server_of_plain_text_is_to_be_left_out(address: str, host: str) -> None:
    port = address.rpartition(":")[2]
    assert "speaks plain text and was asked for TLS" in asked(f"grpcs://{host}:{port}")


def test_a_server_that_is_no_grpc_is_told(web_server: str) -> None:
    assert f"what answers at {web_server} is no gRPC server" in asked(web_server)


def test_a_server_of_something_else_is_told() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with (
        Client.connect(f"127.0.0.1:{port}") as client,
        pytest.raises(InternalError, match="server of another version of Heatproof"),
    ):
        client.catalog()
    server.stop(None).wait()


# What gRPC said of real servers with certificates; see docs/python.md for the ways out.
HANDSHAKE = "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:1: "


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("CERTIFICATE_VERIFY_FAILED: self signed certificate: OK", "signed by nobody"),
        ("UNAUTHENTICATED: Hostname Verification Check failed.", "is of another host"),
        ("Tls handshake failed (TSI_PROTOCOL_FAILURE)", "may want a certificate of yours"),
        ("keepalive watchdog timeout", "has stopped answering"),
        ("connect: Network is unreachable", "check the network"),
        ("Socket closed", "it was stopped, or wants TLS"),
    ],
)
def test_what_grpc_says_gets_a_way_out(said: str, told: str) -> None:
    status = Status(code="UNAVAILABLE", message=HANDSHAKE + said)
    address = Address.parse("grpcs://10.0.0.1:1")

    assert told in explained(status, address).message
    assert said in explained(status, address).message


def test_what_a_server_of_ours_says_stays_as_it_is() -> None:
    own = Status(code="UNAVAILABLE", message="connection refused by policy", reason="DRAINING")
    assert explained(own, Address.parse("10.0.0.1:1")) == own
    foreign = Status(code="NOT_FOUND", message="refused")
    assert explained(foreign, Address.parse("10.0.0.1:1")) == foreign
    assert explained(foreign, None) == foreign
