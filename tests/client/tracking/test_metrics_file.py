"""Numbers of a gate, as DVC reads them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from heatproof.client.command.application import run
from tests.client.command.conftest import folder as folder
from tests.client.command.conftest import served as served
from tests.system.docs.code_blocks import BLOCKS

DVC = os.environ.get("HEATPROOF_DVC") or shutil.which("dvc")
"""The command of DVC, which lives in an environment of its own."""


@pytest.fixture
def home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gated(served: str, model: str, *arguments: str) -> int:
    question = ["--model", model, "--images", "images", "--policy", "policy.toml"]
    files = ["--metrics", "metrics.json", "--json", "report.json"]
    return run(["gate", *question, *files, "--server", served, *arguments])


def read(home: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((home / name).read_text())
    return document


def flat(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{path}.{key}" if path else key
        found |= flat(value, place) if isinstance(value, dict) else {place: value}
    return found


def test_the_numbers_are_those_of_the_report(home: Path, served: str) -> None:
    assert gated(served, "sound.onnx") == 0
    held = flat(read(home, "metrics.json"))
    summary = read(home, "report.json")["evaluation"]["results"][0]["summary"]

    score = "scores.insertion.grad_cam.black"
    assert held[f"{score}.value"] == summary["value"]
    assert held[f"{score}.lower"] == summary["interval"]["lower"]
    assert held[f"{score}.upper"] == summary["interval"]["upper"]
    assert held[f"{score}.scored"] == 12
    assert (held["verdict.passed"], held["verdict.blocking"]) == (1, 0)
    assert (held["verdict.checks"], held["verdict.pass"], held["verdict.skipped"]) == (2, 1, 1)
    assert all(type(value) in {int, float} for value in held.values())


def test_keys_stay_when_model_bound_and_baseline_change(home: Path, served: str) -> None:
    assert gated(served, "sound.onnx") == 0
    before = flat(read(home, "metrics.json"))
    policy = home / "policy.toml"
    policy.write_text(policy.read_text().replace("min = 0.5", "min = 0.9"))
    assert gated(served, "crippled.onnx", "--baseline", "sound.onnx") == 1
    after = flat(read(home, "metrics.json"))

    assert {key for key in after if key.startswith("scores")} == {
        key for key in before if key.startswith("scores")
    }
    score = "scores.insertion.grad_cam.black.value"
    assert after[score] < before[score]
    assert (after["verdict.passed"], after["verdict.fail"]) == (0, 2)


@pytest.mark.skipif(DVC is None, reason="needs dvc: set HEATPROOF_DVC to its command")
def test_dvc_runs_the_stage_of_the_page_and_compares_its_numbers(
    home: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dvc(*arguments: str) -> str:
        assert DVC is not None
        done = subprocess.run(
            [DVC, *arguments], cwd=home, check=True, capture_output=True, text=True, timeout=200
        )
        return done.stdout

    def git(*arguments: str) -> None:
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *named, *arguments], cwd=home, check=True, capture_output=True)

    monkeypatch.setenv("HEATPROOF_SERVER", served)
    (stage,) = [block for block in BLOCKS if block.code.startswith("stages:")]
    (home / "dvc.yaml").write_text(stage.code)
    shutil.copy(home / "policy.toml", home / "heatproof.toml")
    shutil.copy(home / "sound.onnx", home / "model.onnx")
    git("init")
    dvc("init", "--quiet")
    dvc("repro", "--quiet")
    git("add", "dvc.yaml", "dvc.lock", "metrics.json")
    git("commit", "-m", "sound")
    before = read(home, "metrics.json")
    shown = json.loads(dvc("metrics", "show", "--json"))
    assert shown[""]["data"]["metrics.json"]["data"] == before

    assert gated(served, "crippled.onnx") == 1
    score = "scores.insertion.grad_cam.black.value"
    change = flat(read(home, "metrics.json"))[score] - flat(before)[score]
    found = json.loads(dvc("metrics", "diff", "--json"))["metrics.json"][score]
    assert found["diff"] == pytest.approx(change)
    assert score in dvc("metrics", "diff")
