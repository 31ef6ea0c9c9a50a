"""The server as a process: how it starts, says where it is, and ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.settings import check_environment
from heatproof.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    model_service_pb2_grpc,
)
from tests.system.key_pairs import write_key_pair
from tests.system.payloads import model_bytes, upload
from tests.system.serving import Served, serving, settings_for

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


def corrupt(folder: Path) -> list[str]:
    (folder / "heatproof.sqlite").write_bytes(b"SQLite format 3" + bytes(5000))
    return []


def file_for_folder(folder: Path) -> list[str]:
    (folder / "file").write_text("taken")
    return ["--data-dir", str(folder / "file")]


def no_key(folder: Path) -> list[str]:
    (folder / "bad.pem").write_text("no key")
    return ["--tls-certificate", str(folder / "bad.pem"), "--tls-key", str(folder / "bad.pem")]


BAD_PLACES: list[tuple[Any, str]] = [
    (corrupt, "cannot use the database of"),
    (file_for_folder, "cannot use the data directory"),
    (no_key, "bad.pem are no PEM certificate with its private key"),
    (lambda _: ["--data-dir", "/proc/absent"], "cannot use the data directory /proc/absent"),
    (lambda _: ["--database-url", "nonsense"], "database_url is no SQLAlchemy URL"),
    (lambda _: ["--database-url", "oracle+none://x"], "database_url is no SQLAlchemy URL"),
    (lambda _: ["--database-url", "mysql://me:secret@host/x"], "driver of database_url is not"),
    (
        lambda _: ["--database-url", "sqlite:////absent/x"],
        "cannot use the database of database_url",
    ),
    (lambda path: ["--address", f"unix:{path}/{'x' * 107}"], "more than 107 bytes"),
    (lambda path: ["--address", f"unix:{path}/absent/x"], "cannot make a socket in"),
    (lambda _: ["--address", "unix:"], "is no address: write host:port"),
    (lambda _: ["--data-dir", ""], "data_dir: must name a folder"),
    (lambda _: ["--keepalive-seconds", "1e300"], "keepalive_seconds: Input should be less than"),
    (lambda _: ["surplus"], "unrecognized arguments: surplus"),
    (lambda _: ["--address", "127.0.0.1"], "is no address: write host:port"),
    (lambda _: ["--address", "127.0.0.1:65536"], "is no address: write host:port"),
    (lambda _: ["--address", "198.51.100.1:0", "--insecure"], "cannot listen on 198.51.100.1:0"),
]


@pytest.mark.parametrize(("options", "words"), BAD_PLACES)
def test_what_cannot_be_used_is_named_in_one_sentence(
    options: Callable[[Path], list[str]], words: str, tmp_path: Path
) -> None:
    usual = ["--data-dir", str(tmp_path), "--no-preload", "--address", "127.0.0.1:0"]
    done = subprocess.run(
        [*COMMAND, *usual, *options(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_a_misspelt_variable_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--data-dir", str(tmp_path)],
        env={**os.environ, "HEATPROOF_MAX_MODEL_BYTE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "'HEATPROOF_MAX_MODEL_BYTE'; did you mean 'HEATPROOF_MAX_MODEL_BYTES'" in done.stderr


def test_variables_of_the_server_and_of_clients_are_known() -> None:
    check_environment(["HEATPROOF_SERVER", "HEATPROOF_DATA_DIR", "heatproof_workers", "PATH"])


def test_what_is_stored_is_for_the_own_user_only(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o755)
    options = ("--data-dir", str(data_dir), "--address", f"unix:{tmp_path}/socket")
    with process("--embedded", "--no-preload", *options) as server:
        with grpc.insecure_channel(announced(server)) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.UploadModel(iter(upload(model_bytes(50))), timeout=60)
        modes = {path: path.stat().st_mode & 0o777 for path in (data_dir, *data_dir.rglob("*"))}
    files = {mode for path, mode in modes.items() if path.is_file()}
    folders = {mode for path, mode in modes.items() if path.is_dir()}
    assert (files, folders) == ({0o600}, {0o700})


def test_a_data_directory_serves_one_server_at_a_time(served: Served) -> None:
    settings = settings_for(served.settings.data_dir)
    with (
        pytest.raises(FailedPreconditionError, match="another server uses the data directory"),
        serving(settings),
    ):
        pass


def test_an_address_in_use_is_named(served: Served, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, address=served.address)
    with pytest.raises(FailedPreconditionError, match="already in use"), serving(settings):
        pass


@pytest.fixture(scope="module")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_key_pair(tmp_path_factory.mktemp("tls"))


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
