"""The evaluator of MLflow, by MLflow itself with a store in SQLite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import onnx
import pandas as pd
import pytest
from mlflow.models import MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException
from PIL import Image

from heatproof.client import Client, GateReport, UsageError
from heatproof.client.export import exported
from heatproof.client.integrations.mlflow import PASSED
from tests.plugins.networks import EXAMPLE, Network, photographs

# MLflow's and torch's own
pytestmark = pytest.mark.filterwarnings("ignore")

VALIDATION = {PASSED: MetricThreshold(threshold=1, greater_is_better=True)}
SCORES: dict[str, Any] = {
    "metrics": ["deletion:grid=8", "sparseness"],
    "removals": "black",
    "explainers": ["saliency", "centre"],
    "preprocessing": "imagenet",
}
SPARSENESS: dict[str, Any] = {
    "metrics": "sparseness",
    "explainers": "saliency",
    "preprocessing": "imagenet",
}


def policy(least: float) -> dict[str, Any]:
    """A policy that wants so much sparseness of the mean."""
    check = {"metric": {"sparseness": {}}, "min": least, "on": "mean"}
    return {
        "policy": {
            "explainers": ["saliency"],
            "model": {"preprocessing": {"preset": "imagenet"}},
            "checks": [check],
        }
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests share."""
    with Client.embedded(tmp_path_factory.mktemp("data")) as client:
        assert client._connection.address is not None
        yield client._connection.address.target


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A store of experiments in a folder of its own."""
    home = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.sqlite")
    experiment = mlflow.create_experiment("pictures", artifact_location=f"file://{home}/artifacts")
    mlflow.set_experiment(experiment_id=experiment)


@pytest.fixture(scope="module")
def model(store: None) -> str:
    """The address of a logged model."""
    del store
    with mlflow.start_run():
        graph = onnx.load_from_string(exported(Network(), EXAMPLE))
        return str(mlflow.onnx.log_model(graph, name="classifier").model_uri)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Photographs by their paths, with labels."""
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{index}.png") for index in range(9)]
    for path, pixels in zip(paths, photographs(9), strict=True):
        Image.fromarray(pixels).save(path)
    return pd.DataFrame({"path": paths, "label": [index % 5 for index in range(9)]})


def evaluated(model: str | None, frame: pd.DataFrame, /, **config: Any) -> Any:
    return mlflow.models.evaluate(
        model=model,
        data=frame,
        targets="label",
        model_type="classifier",
        evaluators="heatproof",
        evaluator_config=config,
    )


def test_mlflow_finds_the_evaluator() -> None:
    assert "heatproof" in mlflow.models.list_evaluators()


def test_scores_intervals_and_reports_are_logged(
    model: str, frame: pd.DataFrame, server: str, tmp_path: Path
) -> None:
    with mlflow.start_run() as run:
        result = evaluated(model, frame, server=server, **SCORES)

    with Client.connect(server) as client:
        again = client.evaluate(
            exported(Network(), EXAMPLE),
            frame["path"].tolist(),
            labels=frame["label"].tolist(),
            **SCORES,
        )
    expected = {
        f"heatproof/{'/'.join(filter(None, kinds))}": value
        for *kinds, value in again.to_pandas()[
            ["metric", "removal", "explainer", "value"]
        ].itertuples(index=False)
    }
    assert len(expected) == 4
    assert {name: result.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    name = "heatproof/deletion/black/saliency"
    assert result.metrics[f"{name}/lower"] < result.metrics[name] < result.metrics[f"{name}/upper"]
    accuracy = again.evaluation.clean_accuracy[again.models[0].name].value
    assert result.metrics["heatproof/clean_accuracy"] == accuracy
    assert PASSED not in result.metrics
    kept = mlflow.get_run(run.info.run_id).data
    assert {key: kept.metrics[key] for key in result.metrics} == result.metrics
    assert kept.tags["heatproof.evaluation"].startswith("evaluations/")
    assert set(result.artifacts) == {f"heatproof/report.{kind}" for kind in ("html", "json", "md")}
    local = mlflow.artifacts.download_artifacts(result.artifacts["heatproof/report.html"].uri)
    page = Path(local).read_text(encoding="utf-8")
    assert page == result.artifacts["heatproof/report.html"].content
    assert "deletion" in page
    result.save(tmp_path / "saved")
    loaded = mlflow.models.EvaluationResult.load(str(tmp_path / "saved"))
    assert loaded.metrics == result.metrics


def test_a_verdict_for_the_model_passes_the_validation(
    model: str, frame: pd.DataFrame, server: str
) -> None:
    result = evaluated(model, frame, server=server, **policy(0.01))

    mlflow.validate_evaluation_results(VALIDATION, result)
    report = mlflow.artifacts.download_artifacts(result.artifacts["heatproof/report.json"].uri)
    assert GateReport.load(report).passed
    assert result.artifacts["heatproof/junit.xml"].content.startswith("<?xml")


def test_a_verdict_against_the_model_fails_the_validation(
    model: str, frame: pd.DataFrame, server: str
) -> None:
    result = evaluated(model, frame, server=server, **policy(0.99))

    assert result.metrics[PASSED] == 0
    with pytest.raises(ModelValidationFailedException, match="heatproof/passed"):
        mlflow.validate_evaluation_results(VALIDATION, result)


def test_without_a_policy_there_is_nothing_to_validate(
    model: str, frame: pd.DataFrame, server: str
) -> None:
    result = evaluated(model, frame, server=server, **SPARSENESS)
    with pytest.raises(ModelValidationFailedException, match="heatproof/passed"):
        mlflow.validate_evaluation_results(VALIDATION, result)


@pytest.mark.usefixtures("store")
def test_a_module_is_evaluated_in_place_of_a_logged_model(
    frame: pd.DataFrame, server: str, model: str
) -> None:
    own = evaluated(None, frame, server=server, model=Network(), example=EXAMPLE, **SPARSENESS)
    logged = evaluated(model, frame, server=server, **SPARSENESS)
    assert own.metrics == pytest.approx(logged.metrics)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"polcy": "medical"}, "no argument 'polcy'"),
        ({"preprocessing": "imagnet"}, "imagnet"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused(
    model: str, frame: pd.DataFrame, server: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(Exception, match=says):
        evaluated(model, frame, server=server, **{**SCORES, **changes})


def test_images_and_labels_that_cannot_be_used_are_refused(
    model: str, frame: pd.DataFrame, server: str
) -> None:
    with pytest.raises(UsageError, match="name that of the paths of images as `image`"):
        evaluated(model, frame.assign(width=60), server=server, **SCORES)
    with pytest.raises(UsageError, match="must hold paths"):
        evaluated(model, frame.assign(path=1), server=server, **SCORES)
    with pytest.raises(UsageError, match="targets must be class indices"):
        evaluated(model, frame.assign(label="cat"), server=server, **SCORES)
    named = evaluated(
        model,
        frame.assign(width=60),
        server=server,
        image="path",
        **SPARSENESS,
    )
    assert len(named.metrics) > 2


@pytest.mark.usefixtures("store")
def test_a_model_of_another_flavor_says_what_to_do(frame: pd.DataFrame, server: str) -> None:
    with pytest.raises(UsageError, match=r"flavors none: log it by mlflow\.onnx"):
        mlflow.models.evaluate(
            model=lambda table: table["path"],
            data=frame,
            targets="label",
            model_type="classifier",
            evaluators="heatproof",
            evaluator_config={"server": server, **SCORES},
        )
