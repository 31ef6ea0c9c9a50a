"""A gate that asks whether a candidate kept the explanations of the model that it was made of."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.client.command.conftest import network

POLICY = """
explainers = [{ integrated_gradients = { steps = 4 } }]

[model.preprocessing]
resize = "none"

[[checks]]
metric = { agreement_spearman = { against = "models" } }
min = 0.1
"""


def candidate(head: np.ndarray) -> bytes:
    """The sound network with another head."""
    model = onnx.load_from_string(network(100))
    for tensor in model.graph.initializer:
        if tensor.name == "head":
            tensor.CopyFrom(numpy_helper.from_array(head.astype(np.float32), "head"))
    return model.SerializeToString()


@pytest.fixture(scope="module")
def asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained network and what was made of it; all name the colours alike.

    The inverted one counts each colour against all classes, and least against its own, so that its
    maps are the negatives of the trained one's.
    """
    asked = tmp_path_factory.mktemp("agreement")
    (asked / "images").symlink_to(folder / "images")
    (asked / "policy.toml").write_text(POLICY)
    sound = 100 * np.eye(3)
    (asked / "trained.onnx").write_bytes(network(100))
    (asked / "exported.onnx").write_bytes(candidate(2 * sound))
    (asked / "inverted.onnx").write_bytes(candidate(2 * sound - 300))
    return asked


def gate(asked: Path, served: str, model: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--model", model, "--images", "images", "--policy", "policy.toml"]
    command = [
        sys.executable,
        "-m",
        "heatproof.client",
        "gate",
        *files,
        "--server",
        served,
        *arguments,
    ]
    return subprocess.run(command, cwd=asked, capture_output=True, text=True, check=False)


def test_a_candidate_with_the_same_maps_passes_and_is_told_to_agree_wholly(
    asked: Path, served: str
) -> None:
    done = gate(asked, served, "exported.onnx", "--baseline", "trained.onnx", "--json", "same.json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((asked / "same.json").read_text())
    values = [
        score["score"]["value"] for image in report["image_results"] for score in image["scores"]
    ]
    assert values == [1.0] * 24
    (check,) = report["verdict"]["checks"]
    assert check["outcome"] == "OUTCOME_PASS"
    assert check["interval"]["upper"] == 1


@pytest.fixture(scope="module")
def inverted(asked: Path, served: str) -> Path:
    """The report of the inverted candidate, which may not ship."""
    done = gate(
        asked, served, "inverted.onnx", "--baseline", "trained.onnx", "--json", "inverted.json"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return asked / "inverted.json"


def test_a_candidate_with_inverted_maps_fails(inverted: Path) -> None:
    report = json.loads(inverted.read_text())
    for image in report["image_results"]:
        mine, theirs = (one["top"][0].get("class_index", 0) for one in image["predictions"])
        assert mine == theirs
    assert "violates min 0.1" in report["verdict"]["checks"][0]["message"]
    assert report["evaluation"]["results"][0]["summary"]["value"] == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize("given", [[], ["--baseline", "inverted.json"]])
def test_without_the_other_model_itself_nothing_runs(
    asked: Path, inverted: Path, served: str, given: list[str]
) -> None:
    assert inverted.exists()
    done = gate(asked, served, "exported.onnx", *given)
    assert done.returncode == 2
    assert "takes the other one as its baseline" in " ".join(done.stderr.split())
