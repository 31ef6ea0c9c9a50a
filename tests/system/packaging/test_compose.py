"""The compose file, as the Compose implementation at hand and a YAML reader see it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker-compose", "--file", ROOT / "docker-compose.yml", "config", "--quiet"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def test_the_port_is_published_on_the_loopback_only() -> None:
    lines = (ROOT / "docker-compose.yml").read_text(encoding="utf-8").splitlines()
    ports = [json.loads(line.split("- ")[1]) for line in lines if ":50051" in line]
    assert ports == ["127.0.0.1:50051:50051"]


@pytest.mark.parametrize(
    "line", ["read_only: true", "no-new-privileges:true", "cap_drop:", "- data:/data", "- /tmp"]
)
def test_the_container_is_locked_down(line: str) -> None:
    assert line in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
