import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command.conftest import folder, served
from tests.client.forges.fake_forges import FakeGitHub, FakeGitLab, listening

__all__ = ["folder", "served"]  # a sound network, a crippled one, images, a policy; a server


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that an installation leaves, which are those of these tests.

    Its pip installs nothing and notes in `installed` what it was asked for.
    """
    made = tmp_path_factory.mktemp("environment")
    (made / "bin").mkdir()
    real = shlex.quote(sys.executable)
    note = 'echo "$@" >> "$(dirname "$0")/../installed"'
    program(made / "bin" / "python", f'[ "$1 $2" = "-m pip" ] && {note} && exit\nexec {real} "$@"')
    program(made / "bin" / "heatproof", f'exec {real} -m heatproof.client "$@"')
    return made


@pytest.fixture(scope="session")
def programs(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH, whose `python3 -m venv` makes a copy of that environment."""
    made = tmp_path_factory.mktemp("programs")
    copy = f'[ "$1 $2" = "-m venv" ] && cp -R {shlex.quote(str(environment))} "$3" && exit'
    program(made / "python3", f'{copy}\nexec {shlex.quote(sys.executable)} "$@"')
    return made


def program(path: Path, script: str) -> None:
    """Writes a program of a shell."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def workspace(folder: Path, tmp_path: Path) -> Path:
    """A caller's repository: links to the networks and images, and a policy of its own."""
    made = tmp_path / "workspace"
    made.mkdir()
    for name in ("sound.onnx", "crippled.onnx", "images"):
        (made / name).symlink_to(folder / name)
    (made / "policy.toml").write_text((folder / "policy.toml").read_text())
    return made


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    forge = FakeGitHub()
    with listening(forge):
        yield forge


@pytest.fixture
def gitlab() -> Iterator[FakeGitLab]:
    forge = FakeGitLab()
    with listening(forge):
        yield forge
