import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from heatproof.client import Report
from heatproof.client.command.output import comparison as terminal
from heatproof.client.documents import recordings
from heatproof.client.documents.messages import read
from heatproof.client.report.comparison import html, markdown
from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.comparison.quantities import MARK
from heatproof.client.report.numbers import ABSENT
from heatproof.client.report.rows import ClassNames
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.image_pb2 import Image
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import Curve, MetricResult, Summary
from tests.client import canned
from tests.client.report.markup import elements

HOSTILE = "<script>alert(1)</script>\"'&|@everyone [x](http://y).onnx"
MODELS = ["models/sha256-" + digit * 64 for digit in "ab"]
GAINS = {"0,0": 0.9, "0,1": 0.25, "1,0": -0.5, "1,1": 1.5, "0,random": 0.0}


def difference(**changes: Any) -> dict[str, Any]:
    """A difference that tells the models apart, but for the changes."""
    usual = {
        "difference": 0.2,
        "interval": {"lower": 0.1, "upper": 0.3},
        "p_value": 0.001,
        "adjusted_p_value": 0.01,
    }
    held = {**usual, **changes}
    return {name: value for name, value in held.items() if value is not None}


def compared(held: dict[str, Any] | None = None, **changes: Any) -> ModelComparison:
    """A comparison of two models by Grad-CAM."""
    values = [{"model": model, "summary": {"value": 0.5}, "scored": 7} for model in MODELS]
    pair = {"first": MODELS[0], "second": MODELS[1]}
    usual = {
        "metric": "deletion",
        "removal": "black",
        "explainer": "grad_cam",
        "direction": "DIRECTION_HIGHER_IS_BETTER",
        "images": 6,
        "models": values,
        "differences": [{**(difference() if held is None else held), **pair}],
        "tests": 3,
    }
    table = {**usual, **changes}
    return read(ModelComparison, {key: value for key, value in table.items() if value is not None})


def report(names: tuple[str, str] = ("a.onnx", HOSTILE)) -> Report:
    """Two models on two images; a result over both of them has gains and curves of each."""
    table = {"models": MODELS, "metrics": ["deletion"], "removals": ["black"]}
    explainers = {"explainers": ["grad_cam", "random"], "keep_overlays": True}
    spec = read(EvaluationSpec, {**table, **explainers})
    images = [Image(display_name=HOSTILE), Image(display_name="b.png")]
    panel = MetricResult(models=MODELS, index=4)
    panel.metric.inter_model_deletion.SetInParent()
    panel.explainer.grad_cam.SetInParent()
    for place, value in GAINS.items():
        panel.parts[f"gain[{place}]"].CopyFrom(Summary(value=value))
    for name in ("own[0]", "own[1]"):
        panel.curves[name].CopyFrom(canned.curve(0.7))
        panel.curves[name].label = f"model {name[4]}, its own map"
        panel.curves[name].role = Curve.ROLE_SCORED
    return Report(
        Evaluation(spec=spec, results=[*canned.results(spec, 2), panel]),
        tuple(canned.image_results(spec, images)),
        tuple(
            Model(name=model, display_name=name) for model, name in zip(MODELS, names, strict=True)
        ),
        Dataset(images=2),
    )


def content(*comparisons: ModelComparison, reference: str = "") -> ComparisonContent:
    return ComparisonContent.of(
        report(), comparisons or (compared(),), ClassNames(), reference=reference
    )


def test_the_page_escapes_every_name_and_fetches_nothing() -> None:
    told = "models/sha256-" + "b" * 64 + " has <b>none</b>"
    page = html.render(content(compared(cautions=[told], explainer={"custom": {"name": HOSTILE}})))
    tags = Counter(one.tag for one in elements(page))
    assert not {"b", "link", "iframe"} & set(tags)
    assert tags["script"] == 1  # our own
    assert page.count("&lt;script&gt;alert(1)") > 10
    assert "has &lt;b&gt;none&lt;/b&gt;" in page
    assert not re.search(r"url\(|@import|src=\"(?!data:)", page)


def test_markdown_takes_the_meaning_off_every_name() -> None:
    text = markdown.render(content(compared(explainer={"custom": {"name": HOSTILE}})))
    assert text.count("&lt;script&gt;") > 10
    assert "<script" not in text
    assert not re.search(r"(?<!\\)@everyone", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert len(tables) == 2 + 1 + 1  # values and differences, gains, clean answers


def test_the_terminal_prints_names_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    named = ComparisonContent.of(
        report(("[red]a[/red].onnx", "b.onnx")), [compared()], ClassNames()
    )
    terminal.show_comparison(named)
    said = capfd.readouterr().out
    assert said.count("1 [red]a[/red].onnx ") == 1 + 1  # a value, and a row of gains
    assert "1 less 2 " in said


@pytest.mark.parametrize(
    ("held", "changes", "told"),
    [
        (difference(), {}, "a.onnx is better"),
        (difference(), {"direction": "DIRECTION_LOWER_IS_BETTER"}, "b.onnx is better"),
        (
            difference(difference=-0.2, interval={"lower": -0.3, "upper": -0.1}),
            {},
            "b.onnx is better",
        ),
        (difference(), {"explainer": None}, "a.onnx is higher"),
        (difference(), {"cautions": ["of two models"]}, "a.onnx is higher"),
        (
            difference(),
            {"cautions": ["of two models"], "direction": "DIRECTION_LOWER_IS_BETTER"},
            "a.onnx is higher",
        ),
        (difference(interval={"lower": -0.1, "upper": 0.3}), {}, ""),
        (difference(interval={"lower": 0.0, "upper": 0.3}), {}, ""),
        (difference(interval=None), {}, ""),
        (difference(adjusted_p_value=0.05), {}, ""),
        (difference(p_value=0.04, adjusted_p_value=0.12), {}, ""),
        (difference(p_value=None, adjusted_p_value=None), {}, ""),
    ],
)
def test_models_are_told_apart_by_interval_and_corrected_p_together(
    held: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    found = ComparisonContent.of(
        report(("a.onnx", "b.onnx")), [compared(held, **changes)], ClassNames()
    )
    ((row,),) = (quantity.differences for quantity in found.quantities)
    assert row.told == told
    assert (MARK in row.reading) == bool(told)


def test_of_values_that_should_be_zero_the_nearer_is_better() -> None:
    values = [
        {"model": model, "summary": {"value": value}}
        for model, value in zip(MODELS, (0.1, -0.2), strict=True)
    ]
    one = compared(models=values, direction="DIRECTION_CLOSER_TO_ZERO")
    found = ComparisonContent.of(report(("a.onnx", "b.onnx")), [one], ClassNames())
    assert found.quantities[0].differences[0].told == "a.onnx is better"


def test_controls_are_columns_of_what_they_are_a_control_of() -> None:
    control = {"control": True, "explainer": "random"}
    values = [
        {"model": MODELS[1], "summary": {"value": 0.125}},
        {"model": MODELS[0], "summary": {"value": 0.75, "interval": {"lower": 0.5, "upper": 1}}},
    ]
    found = content(
        compared(),
        compared(removal="white"),
        compared(**control, models=values),
        compared(metric="insertion", **control),
    )
    assert [quantity.controls for quantity in found.quantities] == [("random",), ()]
    cells = [
        (row.controls[0].value, row.controls[0].interval) for row in found.quantities[0].values
    ]
    assert cells == [("0.75", "[0.5, 1]"), ("0.125", ABSENT)]


def test_controls_alone_are_shown_themselves() -> None:
    found = content(compared(control=True, explainer="random"))
    assert [quantity.explainer for quantity in found.quantities] == ["random"]


def test_what_is_missing_is_told_by_files_and_reasons() -> None:
    missing = {"undefined": {"reason": "NOTHING_SHARED", "detail": f"{MODELS[0]} has the fewest"}}
    found = content(compared(missing))
    (row,) = found.quantities[0].differences
    assert (row.difference, row.interval, row.p_value, row.adjusted) == (
        ABSENT,
        ABSENT,
        ABSENT,
        ABSENT,
    )
    assert row.reading == "a.onnx has the fewest"


def test_reasons_of_a_metric_over_several_models_are_those_of_its_result() -> None:
    held = report()
    held.evaluation.results[4].summary.undefined["DISAGREEMENT"] = 2
    values = [{"model": model, "result": 4} for model in MODELS]
    found = ComparisonContent.of(held, [compared(models=values)], ClassNames())
    assert [row.undefined for row in found.quantities[0].values] == ["DISAGREEMENT 2"] * 2


def test_gains_are_shaded_within_their_bounds_and_absent_ones_are_dashes() -> None:
    (matrix,) = content().matrices
    cells = dict(matrix.rows)
    assert [cell.estimate.value for cell in cells["a.onnx"]] == ["0.9", "0.25", "0"]
    assert [cell.share for cell in cells[HOSTILE]] == [0, 1, 0]
    assert cells[HOSTILE][2].estimate.value == ABSENT
    assert [cell.own for cell in cells[HOSTILE]] == [False, True, False]


def test_charts_of_models_share_their_axis_and_leave_controls_out() -> None:
    held = report(("a.onnx", "b.onnx"))
    held.evaluation.results[2].curves["deletion"].values[0] = 7.0
    page = html.render(
        ComparisonContent.of(
            held, [compared(), compared(control=True, explainer="random")], ClassNames()
        )
    )
    drawn = re.findall(r'<figure class="card chart">(.*?)</figure>', page, re.DOTALL)
    axes = [re.findall(r'text-anchor="end">(.*?)</text>', chart) for chart in drawn]
    assert len(axes) == 2 * 2
    assert axes[0] == axes[1]
    assert axes[0][-1] == "8"
    assert page.count(">its own map (mean)<") == 2
    assert page.count("data:image/png") == 2 * 2  # images and models, by Grad-CAM alone


def test_the_document_holds_the_messages(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    recordings.write_comparison(report(), [compared()], MODELS[1], path)
    document = json.loads(path.read_text())
    assert document["reference"] == MODELS[1]
    assert read(ModelComparison, document["comparisons"][0]) == compared()


def test_the_reference_is_named_in_words() -> None:
    assert "each model against a.onnx" in markdown.render(content(reference=MODELS[0]))


def test_a_comparison_says_over_how_many_tests_it_corrects() -> None:
    assert "corrected over 3 tests" in markdown.render(content())
    assert "nothing is tested" in markdown.render(content(compared(tests=None)))
