"""The command against the real server, end to end."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SCRIPT = """
from heatproof.client import Client
client = Client.embedded()
report = client.gate({model!r}, {images!r}, policy={policy!r})
client.close()
print(report.passed, len(report.images))
"""

FILES = {"model": "sound.onnx", "images": "images", "policy": "policy.toml"}


@pytest.fixture(scope="session")
def first(folder: Path) -> Path:
    """Reports of the sound network, in the order in which a release would make them."""
    files = ["--json", "r.json", "--junit", "r.xml", "--html", "r.html"]
    done = gate(folder, "sound.onnx", *files, "--update-baseline", "baseline.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def gate(folder: Path, model: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    question = ["--model", model, "--images", "images", "--policy", "policy.toml"]
    command = [sys.executable, "-m", "heatproof.client", "gate", *question, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_sound_network_passes_and_its_reports_hold_the_scores(first: Path) -> None:
    report = json.loads((first / "r.json").read_text())

    assert report["verdict"]["outcome"] in {"OUTCOME_PASS", "OUTCOME_WARN"}
    assert len(report["image_results"]) == 12
    curve = report["evaluation"]["results"][0]["curves"]["insertion"]
    assert (curve["label"], curve["role"]) == ("this map", "ROLE_SCORED")
    assert (curve["unit"], curve["x_unit"]) == ("class probability", "share of cells shown")
    assert report["evaluation"]["results"][0]["summary"]["value"] > 0.5
    suite = ET.parse(first / "r.xml").getroot().find("testsuite")  # noqa: S314  # our own output
    assert suite is not None
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", "0")
    assert (first / "r.html").read_text().count("data:image/png") == 12


@pytest.mark.parametrize("baseline", ["baseline.json", "sound.onnx"])
def test_a_candidate_compared_with_itself_passes(first: Path, served: str, baseline: str) -> None:
    done = gate(first, "sound.onnx", "--baseline", baseline, "--server", served)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_crippled_network_fails_by_bound_and_by_regression(first: Path, served: str) -> None:
    files = ["--baseline", "baseline.json", "--json", "c.json"]
    done = gate(first, "crippled.onnx", *files, "--server", served)

    assert done.returncode == 1, done.stdout + done.stderr
    checks = json.loads((first / "c.json").read_text())["verdict"]["checks"]
    assert [check["outcome"] for check in checks] == ["OUTCOME_FAIL", "OUTCOME_FAIL"]


def test_a_baseline_of_another_spec_is_an_error_that_lists_the_fields(
    first: Path, served: str
) -> None:
    recorded = json.loads((first / "baseline.json").read_text())
    recorded["evaluation"]["spec"]["seed"] = "4"
    (first / "other.json").write_text(json.dumps(recorded))

    done = gate(first, "sound.onnx", "--baseline", "other.json", "--server", served)

    assert done.returncode == 2
    assert "seed" in done.stderr


@pytest.mark.parametrize("way", ["script", "stdin"])
def test_the_sdk_needs_no_main_guard(folder: Path, way: str) -> None:
    names = {name: str(folder / file) for name, file in FILES.items()}
    text = SCRIPT.format(**names)
    (folder / "script.py").write_text(text)
    command = [sys.executable, str(folder / "script.py") if way == "script" else "-"]

    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["True", "12"], done.stderr
