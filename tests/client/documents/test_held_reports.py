"""Reports as a person holds them: saved, loaded, written, ranked and drawn."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from heatproof.client import Client, GateReport, Report, UsageError
from tests.client.clients.flows.test_evaluations import QUESTION


@pytest.fixture
def report(client: Client, model_file: Path, image_folder: Path) -> Report:
    return client.evaluate(model_file, image_folder, keep_overlays=True, **QUESTION)


@pytest.fixture
def judged(client: Client, model_file: Path, image_folder: Path, policy_file: Path) -> GateReport:
    return client.gate(model_file, image_folder, policy=policy_file)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
@pytest.mark.parametrize("kind", ["report", "judged"])
def test_what_is_saved_is_loaded_whole(
    suffix: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    held = request.getfixturevalue(kind)
    path = tmp_path / f"kept.{suffix}"
    held.save(path)

    found = Report.load(path)

    assert found == held
    assert type(found) is type(held)


def test_the_table_of_a_parquet_file_is_that_of_the_images(report: Report, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    report.save(tmp_path / "r.parquet")
    read, expected = pandas.read_parquet(tmp_path / "r.parquet"), report.images_to_pandas()
    assert list(read.columns) == list(expected.columns)
    assert read["value"].equals(expected["value"])


def test_a_file_of_the_command_is_loaded_too(report: Report, tmp_path: Path) -> None:
    from heatproof.client.documents import recordings  # noqa: PLC0415  # beside its only use

    recordings.write(report, tmp_path / "r.json")
    found = Report.load(tmp_path / "r.json")
    assert found.evaluation == report.evaluation
    assert [model.name for model in found.models] == [model.name for model in report.models]


@pytest.mark.parametrize("text", ["", "[]", '{"evaluation": 3}', '{"evaluation": {"odd": 1}}'])
def test_what_is_no_report_is_told_with_its_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match=r"r\.json is no report"):
        Report.load(tmp_path / "r.json")


def test_files_that_cannot_be_saved_or_loaded_are_told(report: Report, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read report"):
        Report.load(tmp_path / "gone.json")
    with pytest.raises(UsageError, match=r"\.json or \.parquet"):
        report.save(tmp_path / "r.csv")
    with pytest.raises(UsageError, match="cannot write"):
        report.save(tmp_path / "gone" / "r.json")
    report.save(tmp_path / "r.json")
    with pytest.raises(UsageError, match="no verdict"):
        GateReport.load(tmp_path / "r.json")


def test_a_report_writes_what_the_command_writes(judged: GateReport, tmp_path: Path) -> None:
    judged.write_html(tmp_path / "r.html")
    judged.write_markdown(tmp_path / "r.md")
    judged.write_junit(tmp_path / "r.xml")

    assert "PASS" in (tmp_path / "r.html").read_text()
    assert "deletion" in (tmp_path / "r.md").read_text()
    assert ET.parse(tmp_path / "r.xml").getroot().tag in {"testsuites", "testsuite"}  # noqa: S314  # our own


@pytest.mark.parametrize("write", ["write_html", "write_markdown", "write_junit"])
def test_reports_that_cannot_be_written_are_told(
    judged: GateReport, tmp_path: Path, write: str
) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        getattr(judged, write)(tmp_path / "absent" / "r")


def test_a_report_is_short_in_a_shell_and_a_table_in_a_notebook(
    report: Report, judged: GateReport
) -> None:
    assert repr(report) == "<Report of net.onnx: 2 results of 3 images>"
    assert repr(judged).startswith("<GateReport of net.onnx: ")
    table = ET.fromstring(report._repr_html_())  # noqa: S314  # our own
    assert [cell.text for cell in table.findall("./tbody/tr/td[2]")] == ["deletion", "insertion"]
    assert judged._repr_html_().startswith("<p><b>PASS: 1 pass</b></p>")


def test_scores_are_printed_without_folding(report: Report) -> None:
    printed = str(report.to_pandas())
    assert "..." not in printed
    assert "\\" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    for wide in (report.to_pandas(details=True), report.images_to_pandas(), report.worst(2)):
        text = str(wide)
        assert "..." not in text
        assert len(text.splitlines()) == 1 + len(wide)
        assert all(str(column) in text.splitlines()[0] for column in wide.columns)
        assert type(wide.copy()) is pd.DataFrame
    assert {"standard_error", "undefined"} <= set(report.to_pandas(details=True).columns)


def test_tables_of_images_have_the_top_class(report: Report) -> None:
    frame = report.images_to_pandas()
    assert list(frame["top_class"][:3]) == [0, 0, 1]
    assert set(frame["probability"]) == {0.75}


def test_the_worst_images_come_first_by_the_direction_of_the_metric(report: Report) -> None:
    worst = report.worst(2)

    # Canned scores grow with the image; the first image has no score of the first result.
    higher = {one.direction for one in report.results} == {1}
    assert higher
    assert list(worst["display_name"]) == ["b.png", "sub/c.png", "a.png", "b.png"]
    assert worst["value"].notna().all()


@pytest.mark.parametrize(("direction", "first"), [(2, "sub/c.png"), (3, "sub/c.png")])
def test_what_should_be_low_is_worst_where_it_is_high(
    report: Report, direction: Any, first: str
) -> None:
    for result in report.evaluation.results:
        result.direction = direction
    assert report.worst(1)["display_name"].tolist() == [first, first]


def test_curves_are_drawn_as_they_are(report: Report) -> None:
    figure = report.plot.curves()
    drawn = [axis.get_title(loc="left") for axis in figure.axes]
    assert drawn == ["deletion · black", "insertion · black"]
    curve = next(iter(report.results[0].curves.values()))
    points = [line.get_ydata() for line in figure.axes[0].lines]
    assert list(curve.values) in [list(one) for one in points]


def test_scores_are_drawn_with_their_intervals(report: Report) -> None:
    figure = report.plot.scores()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["deletion ↑", "insertion ↑"]
    lines = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert lines == [[0.5], [0.4, 0.6]]


def test_every_kept_map_is_drawn_beside_its_image_with_its_scale(report: Report) -> None:
    figure = report.plot.maps(images=2)
    assert sum(bool(axis.images) for axis in figure.axes) == 2 * 2
    assert "a.png" in figure.axes[0].get_title()
    assert figure.axes[1].get_title() == "grad_cam\n0.125 to 2.5"


def test_what_cannot_be_drawn_says_why(
    client: Client, model_file: Path, image_folder: Path, report: Report
) -> None:
    bare = client.evaluate(model_file, image_folder, **QUESTION)
    for image in bare.images:
        del image.overlays[:]
    for result in bare.evaluation.results:
        result.curves.clear()
        result.ClearField("summary")
    with pytest.raises(UsageError, match="keep_overlays=True"):
        bare.plot.maps()
    with pytest.raises(UsageError, match="has curves"):
        bare.plot.curves()
    with pytest.raises(UsageError, match="nothing of this report was scored"):
        bare.plot.scores()
    with pytest.raises(UsageError, match="of one model"):
        report.plot.compare()


def test_several_models_are_drawn_beside_each_other(
    client: Client, model_file: Path, image_folder: Path
) -> None:
    report = client.evaluate([model_file, b"another"], image_folder, **QUESTION)
    figure = report.plot.compare()
    places = [line.get_ydata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert len(set(places)) == 2
    assert len(figure.legends[0].get_texts()) == 2


def test_a_saved_file_names_the_version_that_wrote_it(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["heatproof"]
