"""Heatproof as an evaluator of MLflow; needs the extra `mlflow`.

result = mlflow.models.evaluate(
    model="models:/classifier/3", data=frame, targets="label", model_type="classifier",
    evaluators="heatproof", evaluator_config={"policy": "heatproof.toml"},
)
mlflow.validate_evaluation_results(
    {"heatproof/passed": MetricThreshold(threshold=1, greater_is_better=True)}, result
)
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from heatproof.client.clients.synchronous import Client
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.errors import UsageError
from heatproof.client.extras import required
from heatproof.v1.results_pb2 import Summary

PASSED: Final = "heatproof/passed"
"""Name of the metric that is 1 where the verdict lets the model ship, and 0 where it does not."""

QUESTIONS: Final = frozenset({"policy", "metrics"})
"""What a configuration of this evaluator says one of: judge by a policy, or score by metrics."""

FOLDER: Final = "heatproof"
"""Folder of a run's artefacts."""

_FOREIGN: Final = re.compile(r"[^\w\-. :/]+")
"""What names of MLflow's metrics do not hold."""


class HeatproofEvaluator:
    """Scores or gates the explanations of a model of MLflow, and logs what it finds.

    MLflow makes one by the entry point `mlflow.model_evaluator` for `evaluators="heatproof"`.
    """

    @classmethod
    def can_evaluate(
        cls,
        *,
        model_type: str | None,
        evaluator_config: Mapping[str, Any] | None,
        **kwargs: Any,  # noqa: ANN401  # MLflow adds arguments
    ) -> bool:
        """Whether the configuration asks Heatproof something; the type of model does not matter."""
        del model_type, kwargs
        return not QUESTIONS.isdisjoint(evaluator_config or {})

    def evaluate(
        self,
        *,
        dataset: Any,  # noqa: ANN401  # MLflow's EvaluationDataset
        run_id: str,
        evaluator_config: Mapping[str, Any],
        model: Any = None,  # noqa: ANN401  # MLflow's PyFuncModel
        **kwargs: Any,  # noqa: ANN401  # MLflow adds arguments
    ) -> Any:  # noqa: ANN401  # MLflow's EvaluationResult
        """Evaluates a model of the flavor `onnx`, or that of the configuration.

        Args:
            dataset: a table whose only column, or that named by `image`, holds paths of images; its
                targets are their class indices.
            run_id: the run that scores, intervals and reports are logged to.
            evaluator_config: the keyword arguments of `Client.gate`, with `policy`, or of
                `Client.evaluate`, with `metrics`, and these: `server`, the address of a server (one
                of this process by default); `model`, evaluated in place of MLflow's; `image`, the
                column of the images.
            model: the model that MLflow has loaded.
            **kwargs: what else MLflow says.

        Returns:
            An `EvaluationResult` with a metric for each score, its ends `/lower` and `/upper`, and
            `heatproof/passed` of a gate; its artefacts are the reports.

        Raises:
            HeatproofError: the configuration, the data or the model cannot be used, or the
                evaluation failed.
        """
        del kwargs
        question = dict(evaluator_config)
        server, column = question.pop("server", None), question.pop("image", None)
        source: ModelSource = question.pop("model", None) or _onnx_file(model)
        images = _images(dataset, column)
        if dataset.has_targets:
            question.setdefault("labels", _labels(dataset.labels_data))
        with Client.connect(server) if server else Client.embedded() as client:
            ask = client.gate if "policy" in question else client.evaluate
            report: Report = ask(source, images, **question)
        return _logged(report, run_id)


def _onnx_file(model: Any) -> str:  # noqa: ANN401  # MLflow's PyFuncModel
    """The file of a model that MLflow keeps."""
    flavors: Mapping[str, Any] = getattr(getattr(model, "metadata", None), "flavors", {})
    if "onnx" not in flavors or model.model_id is None:
        raise UsageError(
            f"MLflow's model has the flavors {', '.join(flavors) or 'none'}: log it by "
            "mlflow.onnx.log_model and evaluate 'models:/...', or name a file or a torch.nn.Module "
            "with its example as `model` and `example` of evaluator_config"
        )
    mlflow = required("mlflow", extra="mlflow")
    folder = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}")
    return str(Path(folder) / flavors["onnx"]["data"])


def _images(dataset: Any, column: str | None) -> list[str]:  # noqa: ANN401  # MLflow's EvaluationDataset
    """Paths of the images of a data set."""
    features = dataset.features_data
    columns = list(getattr(features, "columns", ()))
    if column is None and len(columns) == 1:
        column = columns[0]
    if column not in columns:
        raise UsageError(
            f"the data have the columns {', '.join(map(str, columns)) or 'none'}: name that of the "
            "paths of images as `image` of evaluator_config"
        )
    paths: list[str] = features[column].tolist()
    if not all(isinstance(path, str) for path in paths):
        raise UsageError(f"column {column!r} must hold paths of images")
    return paths


def _labels(targets: Any) -> list[int]:  # noqa: ANN401  # an array
    values = np.asarray(targets)
    if not np.issubdtype(values.dtype, np.integer):
        raise UsageError(f"targets must be class indices, not {values.dtype}")
    return [int(value) for value in values]


def _logged(report: Report, run_id: str) -> Any:  # noqa: ANN401  # MLflow's EvaluationResult
    """Logs the scores and the files of a report to a run."""
    mlflow = required("mlflow", extra="mlflow")
    metrics = dict(_metrics(report))
    client = mlflow.MlflowClient()
    for name, value in metrics.items():
        client.log_metric(run_id, name, value)
    client.set_tag(run_id, "heatproof.evaluation", report.evaluation.name)
    with tempfile.TemporaryDirectory() as folder:
        contents = dict(_written(report, Path(folder)))
        client.log_artifacts(run_id, folder, FOLDER)
    root = client.get_run(run_id).info.artifact_uri
    kept = mlflow.models.evaluation.artifacts.TextEvaluationArtifact
    artifacts = {
        f"{FOLDER}/{name}": kept(uri=f"{root}/{FOLDER}/{name}", content=text)
        for name, text in contents.items()
    }
    return mlflow.models.EvaluationResult(metrics=metrics, artifacts=artifacts, run_id=run_id)


def _metrics(report: Report) -> Iterator[tuple[str, float]]:
    """The scores by names that MLflow takes."""
    for result in report.results:
        told = report.captions.row(result)
        kinds = ("metric", "removal", "explainer") if len(report.models) == 1 else tuple(told)
        parts = [_FOREIGN.sub("", told[kind]) for kind in kinds if told[kind]]
        yield from _numbers("/".join([FOLDER, *parts]), result.summary)
    accuracy = report.evaluation.clean_accuracy.get(report.models[0].name, Summary())
    yield from _numbers(f"{FOLDER}/clean_accuracy", accuracy)
    if isinstance(report, GateReport):
        yield PASSED, float(report.passed)


def _numbers(name: str, summary: Summary) -> Iterator[tuple[str, float]]:
    """An estimate with the ends of its interval; nothing where nothing was scored."""
    if summary.HasField("value"):
        yield name, summary.value
    if summary.HasField("interval"):
        yield f"{name}/lower", summary.interval.lower
        yield f"{name}/upper", summary.interval.upper


def _written(report: Report, folder: Path) -> Iterator[tuple[str, str]]:
    """The files of a report, and what they hold."""
    report.save(folder / "report.json")
    report.write_html(folder / "report.html")
    report.write_markdown(folder / "report.md")
    if isinstance(report, GateReport):
        report.write_junit(folder / "junit.xml")
    for path in sorted(folder.iterdir()):
        yield path.name, path.read_text(encoding="utf-8")
