"""The container's own install steps, run in a clean virtual environment: no engine is needed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
_, BUILD_STAGE, FINAL_STAGE = DOCKERFILE.split("\nFROM ")


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", stage, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("opt") / "heatproof"
    for copied in instructions(BUILD_STAGE, "COPY"):
        *names, destination = copied.split()
        for name in names:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*_pb2*")
                shutil.copytree(ROOT / name, source / destination, ignore=ignored)
            else:
                shutil.copy(ROOT / name, source / destination)
    for step in instructions(BUILD_STAGE, "RUN"):
        command = step.replace("/opt/heatproof", str(target)).replace(
            "python -m venv", f"{sys.executable} -m venv"
        )
        subprocess.run(command, shell=True, check=True, cwd=source, timeout=280)  # noqa: S602  # RUN is a shell line
    return target


def test_the_steps_install_a_server_that_serves_without_torch(
    installed: Path, tmp_path: Path
) -> None:
    python = installed / "bin" / "python"
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True
    )
    assert "torch" not in {package["name"] for package in json.loads(listed.stdout)}

    environment = {**os.environ, "HOME": str(tmp_path), "HEATPROOF_DATA_DIR": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    command = [python, "-m", "heatproof.server", "--embedded"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        address = json.loads(server.stdout.readline())["address"]
        check = [python, "-m", "heatproof.server.api.health_check", address]
        assert subprocess.run(check, check=False, timeout=30).returncode == 0
        server.stdin.close()
        assert server.wait(timeout=30) == 0
    assert subprocess.run(check, check=False, timeout=30).returncode == 1


def test_the_image_runs_the_command_that_the_server_has(installed: Path) -> None:
    (command,) = instructions(FINAL_STAGE, "CMD")[-1:]
    arguments = json.loads(command)
    assert arguments[:3] == ["python", "-m", "heatproof.server"]
    options = {argument for argument in arguments if argument.startswith("--")}
    shown = subprocess.run(
        [installed / "bin" / "python", "-m", "heatproof.server", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert all(option in shown.stdout for option in options)


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert instructions(FINAL_STAGE, "USER") == ["heatproof"]
    assert "useradd" in FINAL_STAGE
