"""Which scores deserve trust, from the command line against the real server."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from heatproof.client import Client
from heatproof.client.command.evaluations.sanity import ADDED_CONTROLS, _explainers
from heatproof.client.command.options.panels import Panel
from heatproof.v1.model_pb2 import Model
from tests.client.command.conftest import network

QUESTION = [
    *("--preprocessing", "raw.toml", "--removal", "black"),
    *("--metric", "insertion:grid=4,steps=4", "--metric", "deletion:grid=4,steps=4"),
    *("--explainer", "grad_cam", "--explainer", "saliency"),
]


@dataclass(frozen=True)
class Assessed:
    """What one command has written."""

    folder: Path
    out: str

    def text(self, kind: str) -> str:
        return self.out if kind == "out" else (self.folder / f"s.{kind}").read_text()

    @property
    def reliabilities(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.text("json"))["reliabilities"]
        return found


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heatproof.client", "sanity", *arguments],
        cwd=home,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sanity")
    shutil.copytree(folder / "images", home / "images")
    (home / "[bold]sound|.onnx").write_bytes(network(30))
    (home / "raw.toml").write_text('resize = "none"\n')
    return home


@pytest.fixture(scope="module")
def assessed(home: Path, served: str) -> Assessed:
    files = ["--json", "s.json", "--markdown", "s.md", "--html", "s.html"]
    model = ["--model", "[bold]sound|.onnx", "--images", "images"]
    done = command(home, *model, *QUESTION, *files, "--server", served)
    assert done.returncode == 0, done.stdout + done.stderr
    return Assessed(home, done.stdout)


def test_a_network_that_names_the_colour_of_a_square_orders_maps_by_insertion(
    assessed: Assessed,
) -> None:
    insertion = next(one for one in assessed.reliabilities if "insertion" in one["metric"])
    roles = [rated["role"] for rated in insertion["maps"]]
    assert roles == [
        "ROLE_RANDOM",
        "ROLE_BLIND",
        "ROLE_BLIND",
        "ROLE_EXPLAINER",
        "ROLE_EXPLAINER",
        "ROLE_ORACLE",
        "ROLE_ORACLE",
    ]
    beaten = [
        step["holds"]
        for step in insertion["steps"]
        if not step.get("worse") and step["better"] >= 3
    ]
    assert beaten == ["HOLDS_HOLDS"] * 4
    assert insertion["images"] == 12
    assert insertion["resilience"]["value"] > 0.5
    assert [one["metric"] for one in insertion["agreements"]] == [
        one["metric"] for one in assessed.reliabilities if "deletion" in one["metric"]
    ]


def plain(text: str) -> str:
    """A text without line breaks, and without what Markdown and HTML escape."""
    return "".join(unescape(text).replace("\\", "").split())


@pytest.mark.parametrize("kind", ["out", "md", "html"])
def test_every_output_tells_the_verdicts_and_why(assessed: Assessed, kind: str) -> None:
    text = plain(assessed.text(kind))
    for one in assessed.reliabilities:
        for field in ("trust_of_mean", "trust_of_image"):
            assert one[field].removeprefix("TRUST_").lower() in text
        for reason in one["reasons"]:
            assert plain(reason) in text
    assert "[bold]sound|.onnx" in text


def test_a_model_without_a_usual_explainer_is_rated_by_the_others_and_that_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = Model(name="models/m", display_name="m.onnx")
    model.facts.height = model.facts.width = 224
    model.usability.explainers.add(name="grad_cam", usable=False, reason="no tensor")
    names = [
        next(iter(one)) for one in _explainers(Panel((model,), ("m.onnx",)), [], [{"blur": {}}])
    ]
    assert names == [
        *ADDED_CONTROLS,
        *("saliency", "integrated_gradients"),
        *("disturbed", "disturbed", "occlusion", "lime"),
    ]
    assert "grad_cam is left out: m.onnx: no tensor" in capfd.readouterr().err


def test_another_model_may_judge_and_has_no_oracle(home: Path, served: str) -> None:
    (home / "judge.onnx").write_bytes(network(0.1))
    model = ["--model", "[bold]sound|.onnx", "--images", "images", "--evaluator-model"]
    told = {}
    for judge in ("judge.onnx", "[bold]sound|.onnx"):
        done = command(home, *model, judge, *QUESTION, "--json", "j.json", "--server", served)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads((home / "j.json").read_text())
        told[judge] = [
            (
                {rated["role"] for rated in one["maps"]},
                [round(rated["summary"]["value"], 6) for rated in one["maps"]],
            )
            for one in found["reliabilities"]
        ]
    judged, own = told.values()
    assert [roles for roles, _ in judged] == [{"ROLE_RANDOM", "ROLE_BLIND", "ROLE_EXPLAINER"}] * 2
    assert all("ROLE_ORACLE" in roles for roles, _ in own)
    assert all(one != other for (_, one), (_, other) in zip(judged, own, strict=True))


def test_controls_that_are_asked_for_are_there_once_and_are_not_disturbed() -> None:
    model = Model(name="models/m", display_name="m.onnx")
    model.facts.height = model.facts.width = 32
    found = _explainers(Panel((model,), ("m",)), ["random", "saliency"], [{"black": {}}])
    assert [next(iter(one)) for one in found].count("random") == 1
    assert [one for one in found if "disturbed" in one] == [{"disturbed": {"of": {"saliency": {}}}}]
    occlusion = next(one["occlusion"] for one in found if "occlusion" in one)
    assert occlusion == {"patch": 2, "stride": 2, "removal": {"black": {}}}


def test_what_cannot_be_tested_ends_with_2_before_anything_is_computed(
    home: Path, served: str
) -> None:
    model = ["--model", "[bold]sound|.onnx", "--images", "images", "--preprocessing", "raw.toml"]
    metric = ["--metric", "occlusion_robustness:grid=4", "--removal", "black"]
    done = command(home, *model, *metric, "--server", served)
    assert done.returncode == 2
    assert "no metric rates the maps" in done.stderr
    assert "evaluate:" not in done.stderr


def test_tables_of_the_client_hold_a_row_a_metric(home: Path, served: str) -> None:
    with Client.connect(served) as client:
        report = client.evaluate(
            str(home / "[bold]sound|.onnx"),
            home / "images",
            preprocessing={"resize": "none"},
            metrics=[{"insertion": {"grid": 4, "steps": 4}}],
            explainers=["random", "grad_cam", {"disturbed": {"of": {"grad_cam": {}}}}],
            removals=["black"],
            assess=True,
        )
        table = client.assess_metrics(report).to_pandas()
    assert table["metric"].tolist() == ["insertion"]
    assert table["images"].tolist() == [12]
    assert set(table) >= {"trust_of_mean", "trust_of_image", "image_agreement", "resilience"}
