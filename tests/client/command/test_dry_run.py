"""A gate that is planned and not run, over the real server."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from heatproof.client import Client
from heatproof.client.command.application import run
from heatproof.client.command.output import console
from heatproof.client.command.output.gate_plans import MIN_UNITS, ahead
from heatproof.client.documents.policies import read_policy
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS as UNITS_OF_AN_INTERVAL

IMAGES = 12


@pytest.fixture
def home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own with models, images and a policy."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dry(served: str, *arguments: str) -> int:
    question = ["--model", "sound.onnx", "--images", "images", "--policy", "policy.toml"]
    return run(["gate", *question, "--server", served, "--dry-run", *arguments])


def planned(served: str, capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert dry(served, "--json", "-", *arguments) == 0
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return document


def evaluations(served: str) -> set[str]:
    with Client.connect(served) as client:
        return {handle.name for handle in client.evaluations()}


def test_nothing_runs_and_nothing_is_written(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before, files = evaluations(served), set(home.iterdir())
    reports = ["--json", "r.json", "--junit", "r.xml", "--html", "r.html"]

    assert dry(served, *reports, "--markdown", "r.md", "--update-baseline", "b.json") == 0

    assert evaluations(served) == before
    assert set(home.iterdir()) == files
    said = capfd.readouterr().out
    for name in ("r.json", "r.xml", "r.html", "r.md", "b.json"):
        assert f"would write {name}" in said
    assert "insertion (grid 4, steps 4)" in said
    assert "≥ 0.5, drop ≤ 0.05 (skipped: no --baseline)" in said
    assert "the verdict will warn of 12 units of sampling, fewer than 30" in said


@pytest.mark.usefixtures("home")
def test_the_plan_counts_what_results_share_apart(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found = planned(served, capfd)

    assert found["images"] == IMAGES
    (result,) = found["results"]
    assert result["predictions"] == IMAGES * 3  # the last of four steps shows the clean image
    clean, emptied, gradient = 1, 1, 1
    assert found["shared_predictions"] == IMAGES * (clean + emptied + gradient)
    assert found["predictions"] == found["shared_predictions"] + result["predictions"]
    assert found["policy"]["checks"][0]["min"] == 0.5
    assert found["spec"]["removals"] == [{"black": {"smooth_edges": False}}]


def test_results_cost_together_what_they_cost_alone(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (home / "policy.toml").read_text()
    (home / "alone.toml").write_text(text.replace("insertion", "deletion"))
    more = "\n[[checks]]\nmetric = { deletion = { grid = 4, steps = 4 } }\nmin = 0.0\n"
    (home / "both.toml").write_text(text + more)
    first, second, both = (
        planned(served, capfd, "--policy", name)
        for name in ("policy.toml", "alone.toml", "both.toml")
    )

    own = [each["results"][0]["predictions"] for each in (first, second)]
    assert [one["predictions"] for one in both["results"]] == own
    assert both["shared_predictions"] == first["shared_predictions"]


def test_copies_and_groups_are_counted_before_anything_runs(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(home / "images" / "00.png", home / "images" / "copy.png")
    names = [path.name for path in sorted((home / "images").iterdir())]
    groups = [f"{name},{name != 'copy.png' and int(name[:2]) // 4}" for name in names]
    (home / "labels.csv").write_text("\n".join(["file,group", *groups]).replace("False", "0"))

    found = planned(served, capfd, "--labels", "labels.csv")
    held = {"unit": "UNIT_GROUP", "units": 3, "images": IMAGES, "copies": 1}
    assert found["sampling"] == held
    assert "give no interval" in found["warnings"][0]


@pytest.mark.usefixtures("home")
def test_a_baseline_is_scored_too_and_regressions_are_not_skipped(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert dry(served, "--baseline", "crippled.onnx") == 0
    said = capfd.readouterr().out
    assert "crippled.onnx" in said
    assert "drop ≤ 0.05" in said
    assert "skipped" not in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("min = 0.5", "min = 5.0"), "checks[0].min is 5"),
        (("grad_cam", "grad_camm"), "did you mean 'grad_cam'"),
        (("max_regression = 0.05", 'explainer = "random"'), "not with random"),
        (("resize", "resice"), "did you mean"),
    ],
)
def test_what_keeps_a_gate_from_running_is_told_and_no_report_is_written(
    home: Path, served: str, capfd: pytest.CaptureFixture[str], change: tuple[str, str], told: str
) -> None:
    policy = home / "policy.toml"
    policy.write_text(policy.read_text().replace(*change))

    assert dry(served, "--junit", "refused.xml") == 2
    assert told in capfd.readouterr().err
    assert not (home / "refused.xml").exists()


@pytest.mark.usefixtures("home")
def test_a_server_that_has_run_the_model_tells_the_time(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    question = ["--model", "sound.onnx", "--images", "images", "--policy", "policy.toml"]
    assert run(["gate", *question, "--server", served]) == 0
    capfd.readouterr()

    assert planned(served, capfd)["seconds"] > 0
    assert dry(served) == 0
    assert "time: about" in capfd.readouterr().out


def test_the_client_knows_the_servers_least_units_of_an_interval(home: Path) -> None:
    assert MIN_UNITS == UNITS_OF_AN_INTERVAL
    policy = read_policy(home / "policy.toml")
    assert "no interval" in next(ahead(policy, MIN_UNITS - 1))
    assert "no interval" not in next(ahead(policy, MIN_UNITS))
    assert not list(ahead(policy, 30))


@pytest.mark.usefixtures("home")
def test_another_model_judges_the_maps_of_a_gate(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The crippled network can hardly tell colours: by its answers the sound one's maps fail."""
    question = ["--model", "sound.onnx", "--images", "images", "--policy", "policy.toml"]
    asked = ["gate", *question, "--server", served]
    assert run([*asked, "--update-baseline", "own.json"]) == 0
    judged = ["--evaluator-model", "crippled.onnx"]
    assert run([*asked, *judged]) == 1
    capfd.readouterr()

    assert run([*asked, *judged, "--baseline", "own.json"]) == 2
    assert "evaluator_model" in capfd.readouterr().err


def test_another_model_judges_the_maps_of_a_comparison(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Judged by itself a model scores as it is; by a crippled one all maps score alike."""
    (home / "raw.toml").write_text('resize = "none"\n')
    asked = [
        *("compare", "sound.onnx", "crippled.onnx", "--images", "images"),
        *("--preprocessing", "raw.toml", "--metric", "insertion:grid=4,steps=4"),
        *("--removal", "black", "--server", served, "--json", "c.json"),
    ]
    judged: dict[str, list[float]] = {}
    for evaluator in ("sound.onnx", "crippled.onnx"):
        assert run([*asked, "--evaluator-model", evaluator]) == 0
        results = json.loads((home / "c.json").read_text())["evaluation"]["results"]
        judged[evaluator] = [
            one["summary"]["value"] for one in results if "grad_cam" in one["explainer"]
        ]
    capfd.readouterr()
    assert min(judged["sound.onnx"]) > 0.5 > max(judged["crippled.onnx"])


def test_a_report_is_printed_by_a_dry_run_alone(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    question = ["--model", "sound.onnx", "--images", "images", "--policy", "policy.toml"]
    assert run(["gate", *question, "--server", served, "--json", "-"]) == 2
    assert "name a file in the place of -" in capfd.readouterr().err
    assert not (home / "-").exists()
    assert dry(served, "--html", "-") == 2
    assert not (home / "-").exists()


@pytest.mark.usefixtures("home")
def test_the_time_is_tried_where_it_is_not_known_and_told_of_scores_and_checks(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = evaluations(served)
    found = planned(served, capfd)
    assert evaluations(served) == before
    assert found["seconds"] > 0
    assert found["check_predictions"] == [found["results"][0]["predictions"]]

    assert dry(served) == 0
    said = capfd.readouterr().out
    assert "time: about" in said


@pytest.mark.usefixtures("home")
def test_a_budget_is_planned_as_it_would_be_run(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = planned(served, capfd)
    some = planned(served, capfd, "--units", "5")
    least = planned(served, capfd, "--budget", "0.000001s")
    assert (some["sampling"]["units"], some["sampling"]["units_left_out"]) == (5, IMAGES - 5)
    assert some["predictions"] * IMAGES == whole["predictions"] * 5
    assert least["sampling"]["units"] == 2


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("text", ["10", "m", "10m5", "-3s", "ten minutes", ""])
def test_a_budget_that_is_no_time_is_refused(
    served: str, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    assert dry(served, f"--budget={text}") == 2
    assert "no length of time" in capfd.readouterr().err.replace("\n", " ")


def sequential(home: Path, checks: str, *, min_images: int = 30) -> None:
    text = (home / "policy.toml").read_text(encoding="utf-8")
    middle = text[text.index("explainers") : text.index("[[checks]]")]
    head = f"sequential = true\nmin_images = {min_images}\n"
    (home / "policy.toml").write_text(f"{head}{middle}{checks}", encoding="utf-8")


METRIC = "metric = { insertion = { grid = 4, steps = 4 } }"


def test_a_sequential_gate_says_when_it_may_stop(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sequential(home, f"[[checks]]\n{METRIC}\nmin = 0.5", min_images=8)
    assert dry(served) == 0
    said = capfd.readouterr().out
    assert "sequential: stops once every check is decided, after 8 to 12 units of sampling" in said
    assert "saves nothing" not in said
    sequential(home, f"[[checks]]\n{METRIC}\nmin = 0.5")
    assert dry(served) == 0
    said = capfd.readouterr().out
    assert "takes all 12 units of sampling, for nobody looks before 30" in said


def test_what_keeps_a_sequential_gate_from_stopping_is_told(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    on_mean = f'[[checks]]\n{METRIC}\nmin = 0.5\non = "mean"'
    sequential(home, f"[[checks]]\n{METRIC}\nmin = 0.5\n{on_mean}")
    document = planned(served, capfd)
    assert list(document["checks_at_the_end"]) == ["1"]
    (warning,) = (one for one in document["warnings"] if "saves nothing" in one)
    assert "insertion (grid 4, steps 4): a mean that chose when to stop" in warning
    sequential(home, on_mean)
    assert dry(served) == 2
    assert "none of its checks can be decided before" in capfd.readouterr().err


def test_a_sequential_gate_updates_no_baseline(
    home: Path, served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sequential(home, f"[[checks]]\n{METRIC}\nmin = 0.5")
    assert dry(served, "--update-baseline", "b.json") == 2
    assert "--update-baseline keeps the scores of all images" in capfd.readouterr().err
