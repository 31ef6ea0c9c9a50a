"""Comparisons of models, as the clients ask for them."""

from pathlib import Path

import pytest

from heatproof.client import Client, FailedPreconditionError
from heatproof.v1.comparison_pb2 import ModelComparison, ModelDifference
from tests.client import fakes

FOUND = ModelComparison(
    metric={"deletion": {}},
    part="",
    images=7,
    models=[{"model": "models/sha256-aa", "summary": {"value": 0.5, "scored": 7}}],
    controls={"centre": {"value": 0.25, "scored": 7}},
    differences=[
        ModelDifference(
            first="models/sha256-aa",
            second="models/sha256-bb",
            difference=0.125,
            undefined={"reason": "TOO_FEW_UNITS"},
        ),
        ModelDifference(
            first="models/sha256-aa",
            second="models/sha256-cc",
            difference=-0.125,
            interval={"lower": -0.25, "upper": 0.0},
            p_value=0.0,
            adjusted_p_value=0.0,
        ),
    ],
)


@pytest.mark.parametrize(
    ("options", "reference", "tolerance"),
    [({}, "", None), ({"reference": "models/b", "abs_tolerance": 0.0}, "models/b", 0.0)],
)
def test_a_comparison_is_asked_for_as_the_caller_says(
    client: Client,
    script: fakes.Script,
    options: dict[str, object],
    reference: str,
    tolerance: float | None,
) -> None:
    script.comparisons = [FOUND, FOUND]
    found = client.compare_models("evaluations/e", **options)  # type: ignore[arg-type]  # one call for all options
    assert found.comparisons == (FOUND, FOUND)
    (request,) = script.calls["CompareModels"]
    assert (request.name, request.reference_model) == ("evaluations/e", reference)
    assert request.HasField("abs_tolerance") == (tolerance is not None)
    assert request.abs_tolerance == (tolerance or 0.0)


def test_tables_tell_nothing_from_zero(client: Client, script: fakes.Script) -> None:
    script.comparisons = [FOUND]
    found = client.compare_models("evaluations/e")
    differences, values = found.to_pandas(), found.models_to_pandas()
    assert differences["second"].tolist() == ["bb", "cc"]
    assert differences["p_value"].isna().tolist() == [True, False]
    assert differences["upper"].tolist()[1] == 0.0
    assert differences["undefined"].tolist() == ["TOO_FEW_UNITS", ""]
    assert values["model"].tolist() == ["aa", "centre"]
    assert values["control"].tolist() == [False, True]
    assert values["value"].tolist() == [0.5, 0.25]


def test_a_refused_comparison_is_an_error_of_the_client(
    client: Client, script: fakes.Script
) -> None:
    told = fakes.error_info("FAILED_PRECONDITION")
    script.failures["CompareModels"] = [fakes.status("FAILED_PRECONDITION", "not yet", told)]
    with pytest.raises(FailedPreconditionError, match="not yet"):
        client.compare_models("evaluations/e")


@pytest.mark.parametrize("compare", [False, True])
def test_the_server_is_told_beforehand_that_models_will_be_compared(
    client: Client, script: fakes.Script, model_file: Path, image_folder: Path, *, compare: bool
) -> None:
    client.evaluate(
        model_file,
        image_folder,
        preprocessing="imagenet",
        metrics=["deletion"],
        explainers=["grad_cam"],
        removals=["black"],
        compare=compare,
    )
    assert script.calls["CreateEvaluation"][0].compare == compare
