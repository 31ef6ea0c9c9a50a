"""What the evaluator for MLflow asks Heatproof, without MLflow itself."""

from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from heatproof.client import MissingExtraError, UsageError
from heatproof.client.integrations.mlflow import HeatproofEvaluator
from tests.client import fakes
from tests.client.canned import png

SCORES: dict[str, Any] = {
    "metrics": ["deletion"],
    "explainers": ["grad_cam"],
    "removals": ["black"],
    "preprocessing": "unit",
}


@pytest.fixture
def paths(tmp_path: Any) -> list[str]:
    found = [tmp_path / f"{index}.png" for index in range(3)]
    for index, path in enumerate(found):
        path.write_bytes(png(grey=index))
    return list(map(str, found))


def data(targets: Any = None, **columns: Any) -> SimpleNamespace:
    """A data set as MLflow hands it over."""
    return SimpleNamespace(
        features_data=pd.DataFrame(columns),
        labels_data=None if targets is None else np.asarray(targets),
        has_targets=targets is not None,
    )


def test_mlflow_finds_the_evaluator() -> None:
    (entry,) = entry_points(group="mlflow.model_evaluator", name="heatproof")
    assert entry.load() is HeatproofEvaluator


@pytest.mark.parametrize(
    ("config", "asks"),
    [
        ({"policy": "medical"}, True),
        ({"metrics": "deletion"}, True),
        ({"log_model_explainability": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_a_configuration_that_asks_something_is_answered(
    config: dict[str, Any] | None, asks: bool
) -> None:
    assert HeatproofEvaluator.can_evaluate(model_type="x", evaluator_config=config) is asks


def test_images_and_targets_are_what_is_evaluated(
    address: str, script: fakes.Script, paths: list[str]
) -> None:
    config = {"server": address, "model": b"onnx", **SCORES}
    # What it has found is logged, which needs MLflow.
    with pytest.raises(MissingExtraError, match=r"heatproof\[mlflow\]"):
        HeatproofEvaluator().evaluate(
            dataset=data([2, 0, 1], path=paths), run_id="r", evaluator_config=config
        )
    assert [image.label for image in script.images] == [2, 0, 1]
    assert [image.encoded for image in script.images] == [png(grey=index) for index in range(3)]
    assert script.uploaded == {"model.onnx": b"onnx"}


@pytest.mark.parametrize(
    ("dataset", "config", "says"),
    [
        (data(a=["x"], b=["y"]), {"model": b"onnx"}, "columns a, b: name that of the paths"),
        (data(a=["x"]), {"model": b"onnx", "image": "b"}, "columns a: name that"),
        (data(a=[1]), {"model": b"onnx"}, "'a' must hold paths"),
        (data(["cat"], a=["x"]), {"model": b"onnx"}, "targets must be class indices"),
        (data(a=["x"]), {}, "flavors none: log it"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_sent(
    address: str, script: fakes.Script, dataset: Any, config: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        HeatproofEvaluator().evaluate(
            dataset=dataset, run_id="r", evaluator_config={"server": address, **SCORES, **config}
        )
    assert not script.calls
