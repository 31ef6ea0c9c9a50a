"""Which images come first, and what a table leaves out and says so."""

import pytest

from heatproof.client import Report
from heatproof.client.report import html
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.page import gallery, image_table
from heatproof.client.report.page.gallery import cards
from heatproof.client.report.page.image_table import ImageTable
from heatproof.client.report.rows import ClassNames
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import Direction, ImageResult, MetricResult
from tests.client.report.test_reports import gate_report

MODEL = "models/sha256-" + "a" * 64
HIGHER, LOWER = Direction.DIRECTION_HIGHER_IS_BETTER, Direction.DIRECTION_LOWER_IS_BETTER
ZERO = Direction.DIRECTION_CLOSER_TO_ZERO


def scored(directions: list[Direction.ValueType], values: list[list[float | None]]) -> Content:
    """Images named a, b, ... with a score for each direction."""
    results = [MetricResult(models=[MODEL], direction=one) for one in directions]
    for at, result in enumerate(results):
        result.metric.custom.name = f"metric_{at}"
    images = []
    for name, row in zip("abcdefgh", values, strict=False):
        image = ImageResult(image=name * 64, display_name=name)
        image.predictions.add(model=MODEL, target=0).top.add(class_index=0, probability=0.5)
        for at, value in enumerate(row):
            held = image.scores.add(result=at)
            if value is None:
                held.score.undefined.reason = "NO_OBJECT"
            else:
                held.score.value = value
        images.append(image)
    report = Report(
        Evaluation(spec=EvaluationSpec(models=[MODEL]), results=results),
        tuple(images),
        (Model(name=MODEL, display_name="m.onnx"),),
        Dataset(images=len(images)),
    )
    return Content.of(report, ClassNames(["cat"]))


def table(content: Content, lead: int | None = None) -> ImageTable:
    return image_table.image_table(content, lead)


def named(found: ImageTable) -> str:
    return "".join(row.name for row in found.rows)


VALUES: list[list[float | None]] = [[0.5, 0.1, -0.2], [0.2, None, 0.1], [0.9, 0.8, -0.4]]


@pytest.mark.parametrize(
    ("lead", "order", "worst"),
    [(None, "bac", "ascending"), (1, "cab", "descending"), (2, "cab", "descending")],
)
def test_the_worst_image_by_the_scores_direction_comes_first(
    lead: int | None, order: str, worst: str
) -> None:
    found = table(scored([HIGHER, LOWER, ZERO], VALUES), lead)
    assert named(found) == order
    leading = [column for column in found.columns if column.leads]
    assert [(one.metric, one.worst) for one in leading] == [(found.lead, worst)]
    assert [one.display_name for one in found.order] == list(order)


def test_what_is_sorted_by_is_a_magnitude_where_zero_is_best() -> None:
    found = table(scored([HIGHER, LOWER, ZERO], VALUES))
    cells = {row.name: row.scores for row in found.rows}
    assert [cells["c"][at].key for at in range(3)] == ["0.9", "0.8", "0.4"]
    assert (cells["c"][2].text, cells["b"][1].key, cells["b"][1].reason) == (
        "-0.4",
        "",
        "NO_OBJECT",
    )


def test_columns_have_an_end_and_the_leading_score_is_among_them() -> None:
    many = image_table.SCORES + 5
    content = scored([HIGHER] * many, [[0.1 * at for at in range(many)]])
    assert len(table(content).columns) == image_table.SCORES
    found = table(content, many - 1)
    assert found.columns[-1].leads
    assert found.left_out == many - image_table.SCORES - 1
    assert table(content).left_out == 5


def test_scores_of_the_set_as_a_whole_have_no_column() -> None:
    content = scored([HIGHER, LOWER], [[0.1], [0.2]])
    assert [column.metric for column in table(content, 1).columns] == ["metric_0"]


def test_without_scores_images_keep_their_order() -> None:
    found = table(scored([], [[], [], []]))
    assert (named(found), found.lead, found.columns) == ("abc", "", ())


def test_rows_and_maps_have_an_end_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_table, "ROWS", 2)
    monkeypatch.setattr(gallery, "IMAGES", 1)
    content = scored([HIGHER], [[0.3], [0.1], [0.2]])
    found = table(content)
    assert named(found) == "bc"
    assert [card.name for card in cards(content, found.order)] == ["b"]
    page = html.render(content)
    assert "the table lists 2 of 3" in page
    assert "Maps are shown of the first 1" in page


@pytest.mark.parametrize(
    ("labels", "standing"), [((0,), "right"), ((1,), "wrong"), ((None,), "unknown")]
)
def test_an_image_is_right_or_wrong_by_its_label(labels: tuple[int | None], standing: str) -> None:
    content = scored([HIGHER], [[0.3]])
    (image,) = content.report.images
    if labels[0] is not None:
        image.label = labels[0]
    (row,) = table(Content.of(content.report, content.classes)).rows
    assert row.standing == standing


def test_a_gate_orders_by_the_first_check_that_blocks() -> None:
    report = gate_report()
    report.verdict.checks[0].blocking = False
    report.images[0].scores[1].score.value = 0.9
    content = Content.of(report, ClassNames())
    page = html.render(content, Judgement.of(report, content))
    assert "<strong>insertion · grad_<wbr>cam · black</strong> come first" in page
