"""Settings come from the environment and from options, and unsafe ones are refused."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from heatproof.graphs.runtime.backends.providers import Provider
from heatproof.server import embedded
from heatproof.server.settings import Settings


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:50051", "127.8.8.8:0", "localhost:1", "[::1]:50051", "unix:/run/heatproof"],
)
def test_addresses_of_this_machine_need_no_tls(address: str) -> None:
    assert Settings(address=address).is_local


@pytest.mark.parametrize(
    "address", ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "127.evil.example:1", "host:1", "*:1"]
)
def test_other_addresses_need_tls_or_the_word_insecure(address: str) -> None:
    with pytest.raises(ValidationError, match="tls_certificate and tls_key, or say `--insecure`"):
        Settings(address=address)
    assert Settings(address=address, insecure=True).address == address
    secured = Settings(address=address, tls_certificate=Path("c.pem"), tls_key=Path("k.pem"))
    assert secured.has_tls


def test_half_of_a_key_pair_is_refused() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Settings(tls_certificate=Path("c.pem"))
    with pytest.raises(ValidationError, match="tls_client_ca needs"):
        Settings(tls_client_ca=Path("ca.pem"))


def test_the_environment_sets_what_options_leave_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_WORKERS", "3")
    monkeypatch.setenv("HEATPROOF_ADDRESS", "localhost:7")
    settings = Settings(address="localhost:8")
    assert (settings.workers, settings.address) == (3, "localhost:8")


def test_the_data_directory_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(data_dir=Path("data")).data_dir == tmp_path / "data"


@pytest.mark.parametrize("name", ["workers", "max_uploads", "quota_bytes", "drain_seconds"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        Settings(**{name: 0})


@pytest.mark.parametrize(
    "name",
    [name for name, field in Settings.model_fields.items() if field.annotation in {int, float}],
)
@pytest.mark.parametrize("value", ["1e300", "inf", "nan", str(1 << 80), "-1"])
def test_numbers_that_would_overflow_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name: value})
    assert [fault["loc"] for fault in caught.value.errors()] == [(name,)]


def test_a_relative_home_of_data_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert Settings().data_dir == tmp_path / ".local" / "share" / "heatproof"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Settings().data_dir == tmp_path / "data" / "heatproof"


def test_an_embedded_server_has_a_private_socket_and_forgets_everything() -> None:
    with embedded.settings({}) as settings:
        folder = settings.data_dir.parent
        assert settings.address == f"unix:{folder / 'socket'}"
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_an_option_beats_the_environment_and_that_the_usual_of_embedded_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEATPROOF_DRAIN_SECONDS", "7")
    monkeypatch.setenv("HEATPROOF_LOG_LEVEL", "debug")
    with embedded.settings({"log_level": "error"}) as settings:
        assert settings.drain_seconds == 7
        assert settings.log_level == "error"


def test_an_embedded_server_keeps_a_given_data_directory(tmp_path: Path) -> None:
    with embedded.settings({"data_dir": tmp_path}) as settings:
        assert settings.data_dir == tmp_path


def test_a_socket_path_that_is_too_long_gives_way_to_the_loopback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with embedded.settings({}) as settings:
        assert settings.address == "127.0.0.1:0"


def test_answers_of_a_server_of_ones_own_outlast_it_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEATPROOF_ANSWERS_BYTES")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with embedded.settings({}) as settings:
        assert settings.answers_folder == tmp_path / ".cache" / "heatproof" / "answers"
        assert settings.answers_bytes == Settings().answers_bytes > 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with embedded.settings({}) as settings:
        assert settings.answers_folder == tmp_path / "cache" / "heatproof" / "answers"
    with embedded.settings({"data_dir": tmp_path / "data"}) as settings:
        assert settings.answers_folder == tmp_path / "data" / "answers"
    monkeypatch.setenv("HEATPROOF_ANSWERS_DIR", str(tmp_path / "elsewhere"))
    with embedded.settings({}) as settings:
        assert settings.answers_folder == tmp_path / "elsewhere"


def test_a_user_without_a_home_keeps_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HEATPROOF_ANSWERS_BYTES")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with embedded.settings({}) as settings:
        assert settings.answers_bytes == 0


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_is_out_of_reach_for_workers_in_their_sandbox(provider: str) -> None:
    with pytest.raises(ValidationError, match="set sandbox to off"):
        Settings.model_validate({"provider": provider})
    assert Settings.model_validate({"provider": provider, "sandbox": "off"}).provider == provider


def test_the_setting_names_the_providers_that_there_are() -> None:
    annotation = Settings.model_fields["provider"].annotation
    assert set(get_args(annotation)) == set(Provider)


def test_a_provider_that_is_not_installed_ends_the_server_before_it_serves(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "heatproof.server", "--address", "127.0.0.1:0"]
    options = ["--data-dir", str(tmp_path / "data"), "--sandbox", "off", "--provider", "cuda"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "install onnxruntime-gpu in place of" in ended.stderr
    assert not (tmp_path / "data").exists()
