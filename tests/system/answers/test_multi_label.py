"""Sets of classes from the file of labels to every report, over the socket and the command."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit, softmax

from heatproof.client import Client
from heatproof.client.command.application import run
from heatproof.client.command.output import console
from heatproof.client.documents.results import Report
from heatproof.client.errors import HeatproofError
from tests.system.answers.multi_label import (
    CLASSES,
    IMAGES,
    label_sets,
    network,
    precisions,
    write_images,
)
from tests.system.serving import Served

POLICY = """
explainers = ["random"]
removals = ["black"]
min_images = 1
[model.preprocessing]
resize = "none"
[clean_accuracy]
min = {least}
max_regression = 0.05
[[checks]]
metric = {{ insertion = {{ grid = 2, steps = 2 }} }}
min = 0.0
on = "mean"
"""
NAMES = ["red", "green", "blue", "all", "<none>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with their labels, networks, policies and names of the classes."""
    folder = tmp_path_factory.mktemp("labels")
    write_images(folder)
    heads = {"sigmoid": "Sigmoid", "logits": "Identity", "softmax": "Softmax"}
    for name, head in heads.items():
        (folder / f"{name}.onnx").write_bytes(network(head))
    (folder / "worse.onnx").write_bytes(network(gain=-12.0))
    for name, least in {"kind": 0.5, "strict": 0.99}.items():
        (folder / f"{name}.toml").write_text(POLICY.format(least=least))
    (folder / "names.txt").write_text("\n".join(NAMES))
    return folder


@pytest.fixture(scope="module")
def client(served: Served) -> Any:
    with Client.connect(served.address) as client:
        yield client


def logits(folder: Path) -> NDArray[np.float64]:
    """Bare ONNX Runtime on the network without its sigmoid."""
    paths = sorted((folder / "images").glob("*.png"))
    images = np.stack([np.asarray(Image.open(path)) for path in paths]) / np.float32(255)
    session = ort.InferenceSession(
        (folder / "logits.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["p"], {"image": images.transpose(0, 3, 1, 2).astype(np.float32)})
    return np.asarray(found, np.float64)


def evaluated(client: Client, folder: Path, name: str = "sigmoid", **options: Any) -> Report:
    given = {"labels": folder / "labels.csv", **options}
    return client.evaluate(
        folder / f"{name}.onnx", folder / "images", preprocessing={"resize": "none"},
        metrics=[{"insertion": {"grid": 2, "steps": 2}}], explainers=["random"],
        removals=["black"], **given,
    )  # fmt: skip


def test_the_mean_average_precision_is_that_of_its_definition(client: Client, folder: Path) -> None:
    report = evaluated(client, folder)
    expected = precisions(logits(folder))
    assert sorted(expected) == [0, 1, 2, 3]  # no image shows class 4
    (summary,) = report.evaluation.clean_accuracy.values()
    assert summary.value == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    assert 0 < summary.interval.lower < summary.value < summary.interval.upper <= 1
    assert (summary.interval.method, summary.scored) == ("bootstrap_t", IMAGES)
    listed = {one.class_index: one for one in report.evaluation.average_precisions}
    assert {index: one.value for index, one in listed.items()} == pytest.approx(expected, abs=1e-6)
    counts = {index: sum(index in held for held in label_sets()) for index in expected}
    assert {index: one.images for index, one in listed.items()} == counts
    assert [tuple(image.labels.classes) for image in report.images] == label_sets()
    assert not any(image.HasField("label") for image in report.images)
    (answer,) = report.images[3].predictions
    assert np.array(answer.logits) == pytest.approx(logits(folder)[3], abs=1e-4)


def test_lists_in_memory_say_what_the_file_says(client: Client, folder: Path) -> None:
    told = evaluated(client, folder, labels=label_sets())
    read = evaluated(client, folder)
    assert told.dataset.name == read.dataset.name
    assert told.dataset.labelled == IMAGES  # a set without any class is known too
    single = evaluated(client, folder, labels=[held[0] if held else None for held in label_sets()])
    assert single.dataset.name != read.dataset.name
    assert not single.evaluation.average_precisions
    frame = read.images_to_pandas()
    assert frame["label"].tolist() == label_sets()


@pytest.mark.parametrize("name", ["logits", "softmax"])
def test_sets_need_classes_with_probabilities_of_their_own(
    client: Client, folder: Path, name: str
) -> None:
    with pytest.raises(HeatproofError, match=r"share one probability.*give each image one label"):
        evaluated(client, folder, name)


def test_logits_of_sigmoids_are_stated(client: Client, folder: Path) -> None:
    stated = evaluated(client, folder, "logits", activation="sigmoid_logits")
    found = evaluated(client, folder)
    (read,) = stated.evaluation.class_outputs
    assert (read.activation, read.output) == ("sigmoid_logits", "p")
    assert "sigmoid_logits as stated by the user" in read.decision
    shown = stated.images[3].predictions[0].top
    expected = expit(logits(folder)[3])
    assert {one.class_index: one.probability for one in shown} == pytest.approx(
        dict(enumerate(expected)), abs=1e-6
    )
    assert [one.value for one in stated.evaluation.average_precisions] == pytest.approx(
        [one.value for one in found.evaluation.average_precisions]
    )
    taken = evaluated(client, folder, "logits", labels=[0] * IMAGES)
    shares = softmax(logits(folder)[3])
    assert taken.images[3].predictions[0].top[0].probability == pytest.approx(shares.max())
    with pytest.raises(HeatproofError, match=r"stated as sigmoid_logits.*holds the sigmoid"):
        evaluated(client, folder, activation="sigmoid_logits")


def test_the_classes_of_an_image_are_explained_as_their_mean(client: Client, folder: Path) -> None:
    image = folder / "images" / "03.png"  # shows 1 and 2
    options: dict[str, Any] = {"preprocessing": {"resize": "none"}, "explainers": ["saliency"]}
    label, group, one = (
        client.explain(folder / "sigmoid.onnx", [image], target=target, labels=[held], **options)[0]
        for target, held in (("label", [2, 1]), ("group:1,2", None), ("label", [1]))
    )
    assert (label.prediction.target, one.prediction.target) == (-1, 1)
    np.testing.assert_array_equal(label.values, group.values)
    assert not np.array_equal(label.values, one.values)
    with pytest.raises(HeatproofError, match=r"2 of 24 show none, '00\.png' first: leave them out"):
        evaluated(client, folder, target="label")


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ([[0, CLASSES]] + [[0]] * (IMAGES - 1), "label 5.*5 classes, 0 to 4"),
        ([[0, 0]] * IMAGES, "class 0 is in the labels twice.*not a 0 or 1 for each class"),
        ([[-1]] * IMAGES, "must be at least 0"),
        ([[0, 1], 1] * (IMAGES // 2), "12 images have labels.*12 a label.*give all of them sets"),
    ],
)
def test_wrong_sets_are_refused(client: Client, folder: Path, labels: Any, fault: str) -> None:
    with pytest.raises(HeatproofError, match=fault):
        evaluated(client, folder, labels=labels)


def test_a_binary_head_takes_no_sets(client: Client, folder: Path) -> None:
    binary = Path(__file__).parent / "heads" / "sigmoid_vec.onnx"
    with pytest.raises(HeatproofError, match="one value for two classes"):
        client.evaluate(
            binary, folder / "images", preprocessing={"resize": "none"}, labels=[[0]] * IMAGES,
            metrics=[{"insertion": {"grid": 2, "steps": 2}}], explainers=["random"],
            removals=["black"],
        )  # fmt: skip


def gate(served: Served, model: str, policy: str, *more: str) -> int:
    known = ["--images", "images", "--labels", "labels.csv", "--policy", f"{policy}.toml"]
    files = ["--json", "r.json", "--html", "r.html", "--markdown", "r.md", "--junit", "r.xml"]
    named = ["--classes", "names.txt", "--server", served.address]
    return run(["gate", "--model", f"{model}.onnx", *known, *files, *named, *more])


def test_every_report_of_a_gate_tells_the_mean_average_precision(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(console.out, "width", 200)  # narrower lines break
    assert gate(served, "sigmoid", "kind", "--update-baseline", "base.json") == 0
    mean = f"{np.mean(list(precisions(logits(folder)).values())):.4g}"
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(
        rf"mean average precision of sigmoid.onnx: {mean}( \[.*\])? over 24 images", told
    )
    assert "none of the classes" in told
    assert "red, blue" in told
    assert f"Mean average precision of sigmoid.onnx: {mean}" in (folder / "r.md").read_text()
    assert "| green | 13 | 99.0% |" in (folder / "r.md").read_text()
    page = (folder / "r.html").read_text()
    row = '<td class="number">13</td><td class="number">99.0%</td></tr>'
    assert f'<tr><th scope="row"><bdi>green</bdi></th>{row}' in page
    assert "label: <bdi>red, green, blue</bdi>" in page
    suite = ET.parse(folder / "r.xml").getroot()[0]  # noqa: S314  # our own output
    held = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert held["mean average precision of sigmoid.onnx"].startswith(mean)
    assert "mean average precision: bound" in {case.attrib["name"] for case in suite[1:]}
    (checks,) = [json.loads((folder / "r.json").read_text())["verdict"]["checks"]]
    assert [check["outcome"] for check in checks] == [
        "OUTCOME_PASS", "OUTCOME_SKIPPED", "OUTCOME_PASS",
    ]  # fmt: skip


def test_a_gate_fails_by_bound_and_by_regression(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert gate(served, "sigmoid", "strict") == 1
    assert gate(served, "sigmoid", "kind", "--update-baseline", "base.json") == 0
    assert gate(served, "sigmoid", "kind", "--baseline", "base.json") == 0
    assert gate(served, "worse", "kind", "--baseline", "base.json") == 1
    checks = json.loads((folder / "r.json").read_text())["verdict"]["checks"]
    assert [check["outcome"] for check in checks[:2]] == ["OUTCOME_FAIL", "OUTCOME_FAIL"]
    assert checks[1]["regression"]["drop"] > 0.3
    other = [*(folder / "labels.csv").read_text().splitlines()[:-1], "23.png,4"]
    (folder / "labels.csv").rename(folder / "kept.csv")
    (folder / "labels.csv").write_text("\n".join(other))
    try:
        assert gate(served, "sigmoid", "kind", "--baseline", "base.json") == 2
    finally:
        (folder / "kept.csv").rename(folder / "labels.csv")
