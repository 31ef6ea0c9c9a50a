"""The first policy of a model, over the real server."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heatproof.client import Client
from heatproof.client.command.application import run
from heatproof.client.command.output import console
from heatproof.client.documents.policies import read_policy
from heatproof.v1.gate_pb2 import Check, CheckResult, Policy
from tests.system.gates.test_policy_presets import GAIN, MASKS, PICTURES, network

IMAGES = 16
AGREEMENTS = {"agreement_spearman", "agreement_top_k", "agreement_ssim", "agreement_ndcg"}

METRICS = {"occlusion_corrected_deletion", "srg", "localization_auc"}
"""What becomes a check; `mprt` has the same value for all images of so plain a network."""

ASKED = ["--model", "model.onnx", "--images", "images", "--preprocessing", "raw.toml"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of all reds with a mask of the reddest, and networks that read red, or its lack."""
    home = tmp_path_factory.mktemp("init")
    network(home / "model.onnx", gain=GAIN, bias=0)
    network(home / "inverted.onnx", gain=-GAIN, bias=8)
    for folder in ("images", "masks", "maps"):
        (home / folder).mkdir()
    for place in range(IMAGES):
        Image.fromarray(PICTURES[place]).save(home / "images" / f"{place:02}.png")
        Image.fromarray(255 * MASKS[place]).save(home / "masks" / f"{place:02}.png")
        np.save(home / "maps" / f"{place:02}.npy", -PICTURES[place][..., 0].astype(np.float32))
    rows = [f"{place:02},{int(place % 10 == 0)}" for place in range(IMAGES)]
    (home / "labels.csv").write_text("\n".join(["file,label", *rows]))
    (home / "raw.toml").write_text('resize = "none"\n')
    return home


@pytest.fixture(autouse=True)
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(console.out, "width", 200)


@pytest.fixture(scope="module")
def written(home: Path, served: str) -> Iterator[Path]:
    """A policy that was calibrated on everything that is known."""
    policy = home / "full.toml"
    before = Path.cwd()
    os.chdir(home)
    asked = ["init", *ASKED, "--masks", "masks", "--labels", "labels.csv", "--yes"]
    try:
        assert run([*asked, "--policy", "full.toml", "--server", served]) == 0
        yield policy
    finally:
        os.chdir(before)


def judged(served: str, policy: Policy | Path, **options: Any) -> Any:
    known = {"masks": Path("masks"), "labels": Path("labels.csv"), **options}
    with Client.connect(served) as client:
        return client.gate("model.onnx", "images", policy=policy, **known)


def of_explainer(policy: Policy, name: str) -> Policy:
    """The policy with another map in the place of the model's."""
    changed = Policy()
    changed.CopyFrom(policy)
    for held in (*changed.explainers, *(check.explainer for check in changed.checks)):
        if held.HasField("grad_cam"):
            getattr(held, name).SetInParent()
    return changed


def blocking(report: Any) -> set[str]:
    """Metrics whose checks block."""
    return {
        str(report.policy.checks[held.check].metric.WhichOneof("metric"))
        for held in report.verdict.checks
        if held.blocking
    }


def test_the_policy_passes_on_what_it_was_calibrated_on(written: Path, served: str) -> None:
    report = judged(served, written)
    assert report.passed, report.verdict
    assert {held.outcome for held in report.verdict.checks} == {CheckResult.OUTCOME_PASS}
    metrics = {check.metric.WhichOneof("metric") for check in report.policy.checks}
    assert metrics == METRICS
    assert report.policy.clean_accuracy.HasField("min")


def test_a_map_turned_upside_down_fails(written: Path, served: str) -> None:
    policy = of_explainer(read_policy(written), "supplied")
    report = judged(served, policy, maps=Path("maps"))
    assert not report.passed
    assert blocking(report) >= METRICS


@pytest.mark.parametrize("control", ["random", "centre", "edges"])
def test_a_control_map_fails(written: Path, served: str, control: str) -> None:
    report = judged(served, of_explainer(read_policy(written), control))
    assert not report.passed
    assert blocking(report) >= METRICS


def test_each_check_has_its_figures_and_the_command_to_repeat(written: Path) -> None:
    text = written.read_text()
    assert f"Calibrated on {IMAGES} images of images, seed 1." in text
    assert "heatproof init --model model.onnx --images images" in text
    assert "--masks masks" in text
    head, *checks = text.split("[[checks]]")
    assert "in the middle" in head
    for check in checks:
        assert "# Measured: " in check or "# The blind map " in check
    assert head.count("# Measured: ") == 1  # of the clean accuracy


def test_the_bounds_lie_between_the_figures_that_the_evaluation_gives(
    written: Path, served: str
) -> None:
    policy = read_policy(written)
    with Client.connect(served) as client:
        report = client.evaluate(
            "model.onnx", "images", preprocessing="raw.toml", seed=1, masks=Path("masks"),
            metrics=["localization_auc"], explainers=["grad_cam", "random", "centre", "edges"],
        )  # fmt: skip
    own, *controls = [result.summary.interval for result in report.results]
    (check,) = [one for one in policy.checks if one.metric.HasField("localization_auc")]
    assert max(one.upper for one in controls) < check.min < own.lower


def test_a_file_that_is_there_is_kept_unless_it_is_forced(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "mine.toml").write_text("# mine\n")
    asked = ["init", *ASKED, "--yes", "--policy", "mine.toml", "--server", served]
    assert run(asked) == 2
    assert "--force" in capfd.readouterr().err
    assert (home / "mine.toml").read_text() == "# mine\n"
    assert run([*asked, "--force", "--limit", "12"]) == 0
    text = (home / "mine.toml").read_text()
    assert "Calibrated on 12 images, drawn by seed 1 from those of images" in text
    assert read_policy(home / "mine.toml").checks


@pytest.mark.parametrize("option", ["--model", "--images", "--preprocessing"])
def test_what_is_missing_is_named_where_nobody_can_be_asked(
    option: str, capfd: pytest.CaptureFixture[str]
) -> None:
    place = ASKED.index(option)
    assert run(["init", *ASKED[:place], *ASKED[place + 2 :], "--yes"]) == 2
    assert f"{option} is missing" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["--explainer", "edges"], "edges is one of the control maps"),
        (["--explainer", "grad_camm"], "did you mean 'grad_cam'"),
        (["--preprocessing", "none.toml"], "cannot read none.toml"),
        (["--images", "images/00.png"], "1 units of sampling give no intervals"),
        (["--policy", "nowhere/heatproof.toml"], "folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_calibrated_ends_before_the_work(
    home: Path, served: str, capfd: pytest.CaptureFixture[str], changes: list[str], told: str
) -> None:
    assert run(["init", *ASKED, "--yes", "--server", served, *changes]) == 2
    said = capfd.readouterr().err
    assert told in said
    assert "evaluate:" not in said
    assert not (home / "heatproof.toml").exists()


def test_a_parent_is_held_against_and_one_that_answers_otherwise_is_told(
    home: Path, served: str
) -> None:
    """The interval of maps that are equal on few images is wide: it takes 30 for a check."""
    (home / "more").mkdir()
    for place in range(36):
        Image.fromarray(PICTURES[place]).save(home / "more" / f"{place:02}.png")
    network(home / "twin.onnx", gain=1.01 * GAIN, bias=0)
    asked = ["init", *ASKED, "--images", "more", "--yes", "--server", served]
    assert run([*asked, "--policy", "twin.toml", "--baseline", "twin.onnx"]) == 0

    assert "--baseline twin.onnx" in (home / "twin.toml").read_text()
    policy = read_policy(home / "twin.toml")
    agreements = [
        check for check in policy.checks if check.metric.WhichOneof("metric") in AGREEMENTS
    ]
    assert {str(one.metric.WhichOneof("metric")) for one in agreements} == AGREEMENTS
    del policy.checks[:]
    policy.checks.extend(agreements)
    del policy.removals[:]
    with Client.connect(served) as client:
        same, other = (
            client.gate("model.onnx", "more", policy=policy, baseline=parent)
            for parent in ("twin.onnx", "inverted.onnx")
        )
    assert same.passed, same.verdict
    assert blocking(other) >= {"agreement_spearman", "agreement_top_k"}


def test_somebody_at_a_terminal_is_asked(home: Path, served: str) -> None:
    answers = ["model.onnx", "images", "raw.toml", "none", "none", "masks", "y"]
    command = [sys.executable, "-m", "heatproof.client", "init", "--server", served]
    main, terminal = pty.openpty()
    os.write(main, "".join(f"{answer}\n" for answer in answers).encode())
    done = subprocess.run(
        [*command, "--policy", "asked.toml", "--limit", "12"],
        cwd=home, stdin=terminal, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    os.close(main)
    os.close(terminal)
    assert done.returncode == 0, done.stderr
    assert "How does the model read images" in done.stderr
    assert "predictions" in done.stderr
    held = {check.metric.WhichOneof("metric") for check in read_policy(home / "asked.toml").checks}
    assert "localization_auc" in held
    severities = {check.severity for check in read_policy(home / "asked.toml").checks}
    assert severities <= {Check.SEVERITY_UNSPECIFIED, Check.SEVERITY_WARN}


def test_a_file_in_the_place_of_an_output_is_told_its_option(
    served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "name the file to write by --policy mine.toml"
    for asked in ([*ASKED, "--server", served], []):
        assert run(["init", *asked, "--output", "mine.toml", "--yes"]) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    assert run(["init", *ASKED, "--output", "mine", "--server", served, "--yes"]) == 2
    assert "--policy" not in capsys.readouterr().err
