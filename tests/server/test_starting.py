"""The server as a process: how it starts, says where it is, and ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving import Served, serving, settings_for

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.v1 import catalog_service_pb2, catalog_service_pb2_grpc

COMMAND = [sys.executable, "-m", "heatproof.server"]


@contextmanager
def process(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A server process, killed at the end whatever happens."""
    pipe = subprocess.PIPE
    started = subprocess.Popen(
        [*COMMAND, *options], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def announced(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    line = json.loads(server.stdout.readline())
    assert set(line) == {"address"}
    return str(line["address"])


def test_an_embedded_server_announces_its_address_and_ends_with_its_input() -> None:
    with process("--embedded", "--no-preload") as server:
        address = announced(server)
        folder = Path(address.removeprefix("unix:")).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        with grpc.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING

        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(20) == 0
        assert server.stdout is not None
        assert server.stdout.read() == ""
        assert not folder.exists()


def test_sigterm_ends_a_server_in_good_order(tmp_path: Path) -> None:
    options = ("--address", f"unix:{tmp_path}/socket", "--data-dir", str(tmp_path / "data"))
    with process(*options, "--no-preload", "--log-format", "json") as server:
        assert server.stderr is not None
        serving_line = json.loads(server.stderr.readline())
        assert serving_line["event"] == "serving"
        assert serving_line["address"] == f"unix:{tmp_path}/socket"
        with grpc.insecure_channel(serving_line["address"]) as channel:
            stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
            assert stub.GetCatalog(catalog_service_pb2.GetCatalogRequest(), timeout=10).metrics
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--address", "0.0.0.0:0"], "say `--insecure`"),
        (["--workers", "none"], "workers: "),
        (["--nothing", "1"], "unrecognized arguments: --nothing"),
        (["--tls-certificate", "absent.pem", "--tls-key", "absent.pem"], "cannot read absent.pem"),
    ],
)
def test_a_server_that_cannot_start_says_why_and_exits_with_2(
    options: list[str], words: str, tmp_path: Path
) -> None:
    usual = ["--data-dir", str(tmp_path), "--no-preload", "--address", "127.0.0.1:0"]
    done = subprocess.run(
        [*COMMAND, *usual, *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_data_directory_serves_one_server_at_a_time(served: Served) -> None:
    settings = settings_for(served.settings.data_dir)
    with (
        pytest.raises(FailedPreconditionError, match="another server uses the data directory"),
        serving(settings),
    ):
        pass


def test_an_address_in_use_is_named(served: Served, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, address=served.address)
    with pytest.raises(FailedPreconditionError, match="it is in use"), serving(settings):
        pass


@pytest.fixture(scope="module")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=heatproof", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return certificate, key


def health_over_tls(address: str, credentials: grpc.ChannelCredentials) -> int:
    with grpc.secure_channel(address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status)


def test_a_server_with_a_key_pair_speaks_tls_only(
    key_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = key_pair
    settings = settings_for(tmp_path, tls_certificate=certificate, tls_key=key)
    with serving(settings) as served:
        trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
        assert health_over_tls(served.address, trusted) == 1
        plain = health_pb2_grpc.HealthStub(served.channel)
        with pytest.raises(grpc.RpcError):
            plain.Check(health_pb2.HealthCheckRequest(), timeout=5)


def test_a_server_with_a_client_authority_refuses_strangers(
    key_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = key_pair
    settings = settings_for(
        tmp_path, tls_certificate=certificate, tls_key=key, tls_client_ca=certificate
    )
    with serving(settings) as served:
        stranger = grpc.ssl_channel_credentials(certificate.read_bytes())
        with pytest.raises(grpc.RpcError):
            health_over_tls(served.address, stranger)
        known = grpc.ssl_channel_credentials(
            certificate.read_bytes(), key.read_bytes(), certificate.read_bytes()
        )
        assert health_over_tls(served.address, known) == 1
