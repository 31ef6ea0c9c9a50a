"""A server that is stopped, and answers nothing any more, is noticed."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from heatproof.client import Client, UnavailableError
from heatproof.client.clients.connections.addresses import OPTIONS, Address
from tests.system.durability.processes import server_process

SHARE = 1 / 40
"""Of the seconds that a client waits, so that the tests need not."""

NOTICED = 60.0
"""Seconds in which docs/python.md says that such a server is noticed."""

WAITS = (
    "grpc.keepalive_time_ms",
    "grpc.keepalive_timeout_ms",
    "grpc.http2.ping_timeout_ms",
    "grpc.min_reconnect_backoff_ms",
)


def scaled(address: str) -> Address:
    """An address whose times are a share of the real ones."""
    options = [(name, round(value * SHARE) if name in WAITS else value) for name, value in OPTIONS]
    return replace(Address.parse(address), options=tuple(options))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[Address, Client]]:
    """Where a server is that was stopped after a client has spoken with it, and the client."""
    with server_process(tmp_path) as server:
        found = scaled(server.address)
        with Client(Client._open(found), address=found) as client:
            client.catalog()
            server.process.send_signal(signal.SIGSTOP)
            try:
                yield found, client
            finally:
                server.process.send_signal(signal.SIGCONT)


def seconds_to_notice(client: Client) -> float:
    """Until a call to a stopped server fails, with words that say what is the matter."""
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="has stopped answering: it hangs, or the way"):
        client.catalog()
    return time.monotonic() - start


def test_a_server_that_stops_is_noticed_in_a_minute(address: tuple[Address, Client]) -> None:
    assert seconds_to_notice(address[1]) < NOTICED * SHARE + 2  # seconds of a loaded machine


def test_who_comes_to_a_stopped_server_hears_it_too(address: tuple[Address, Client]) -> None:
    apart = (*address[0].options, ("grpc.use_local_subchannel_pool", 1))
    there = replace(address[0], options=apart)
    with Client(Client._open(there), address=there) as client:
        assert seconds_to_notice(client) < NOTICED * SHARE + 2  # seconds of a loaded machine


def test_what_the_tests_scale_is_what_a_client_waits() -> None:
    waits = {name: value for name, value in OPTIONS if name in WAITS}
    assert set(waits) == set(WAITS)
    assert waits["grpc.keepalive_time_ms"] + waits["grpc.keepalive_timeout_ms"] < 1000 * NOTICED
