"""The comparison of models against the real server, end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import onnx
import pytest

from heatproof.client.command.application import run
from heatproof.client.command.evaluations import compare
from heatproof.client.command.options.panels import Panel
from heatproof.client.documents.messages import read
from heatproof.client.errors import UsageError
from heatproof.v1.catalog_service_pb2 import Catalog
from heatproof.v1.model_pb2 import Model
from tests.client import fakes
from tests.client.command.conftest import network
from tests.client.command.interrupting import interrupted

STEPS = "grid=4,steps=4"
QUESTION = [
    *("--preprocessing", "raw.toml", "--removal", "black"),
    *("--metric", f"occlusion_corrected_deletion:{STEPS}"),
    *("--metric", f"inter_model_deletion:{STEPS}"),
    *("--metric", f"occlusion_robustness:{STEPS}"),
    *("--metric", f"deletion:{STEPS}"),
    *("--metric", "explanation_consistency:background=shared"),
]
MODELS = ["sound.onnx", "[bold]faint|.onnx", "old/sound.onnx"]
"""Files whose names a table could take for its own words, and two of one name."""

OUTPUTS = ("out", "json", "md", "html")


@dataclass(frozen=True)
class Compared:
    """What one comparison of `MODELS` has written."""

    folder: Path
    out: str

    def text(self, kind: str) -> str:
        return self.out if kind == "out" else (self.folder / f"c.{kind}").read_text()

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text("json"))
        return document


@pytest.fixture(scope="module")
def home(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three networks and the images."""
    home = tmp_path_factory.mktemp("compare")
    shutil.copytree(folder / "images", home / "images")
    (home / "old").mkdir()
    for name, gain in zip(MODELS, (100, 10, 30), strict=True):
        (home / name).write_bytes(network(gain))
    shutil.copy(home / "sound.onnx", home / "copy.onnx")
    (home / "raw.toml").write_text('resize = "none"\n')
    return home


def command(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heatproof.client", "compare", *arguments],
        cwd=home,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compared(home: Path, served: str) -> Compared:
    files = ["--json", "c.json", "--markdown", "c.md", "--html", "c.html"]
    question = [*MODELS, "--images", "images", *QUESTION, *files, "--server", served]
    done = command(home, *question, COLUMNS="80")
    assert done.returncode == 0, done.stdout + done.stderr
    return Compared(home, done.stdout)


def told(kind: str, name: str) -> str:
    """How a name stands in an output."""
    escaped = {"md": name.replace("|", r"\|").replace("[", r"\[").replace("]", r"\]")}
    return escaped.get(kind, name)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("name", ["old/sound.onnx", "[bold]faint|.onnx"])
def test_every_model_occurs_by_its_file_in_every_output(
    compared: Compared, kind: str, name: str
) -> None:
    # A narrow terminal may break a name.
    text = re.sub(r"\s+", "", compared.text(kind)) if kind == "out" else compared.text(kind)
    assert told(kind, name) in text


@pytest.mark.parametrize("kind", ["out", "md", "html"])
def test_no_model_is_shown_by_its_digest_alone(compared: Compared, kind: str) -> None:
    assert "models/" not in compared.text(kind)
    digests = [
        model["name"].removeprefix("models/sha256-") for model in compared.document["models"]
    ]
    assert all(digest not in compared.text(kind) for digest in digests)


def test_a_quantity_has_a_difference_for_every_pair(compared: Compared) -> None:
    document = compared.document
    names = [model["name"] for model in document["models"]]
    for one in document["comparisons"]:
        pairs = [(held["first"], held["second"]) for held in one["differences"]]
        assert pairs == list(combinations(names, 2))
    own = [one for one in document["comparisons"] if not one.get("control")]
    rows = len(own) * len(pairs)
    assert compared.text("html").count('<span class="soft">less</span>') == rows
    assert len(re.findall(r"^\| (?!First).* less ", compared.text("md"), re.MULTILINE)) == rows
    assert compared.out.count(" less ") >= rows


def test_controls_are_columns_and_no_rows_of_differences(compared: Compared) -> None:
    document = compared.document
    controls = [one for one in document["comparisons"] if one.get("control")]
    assert {next(iter(one["explainer"])) for one in controls} == {"random", "centre"}
    assert not any("p_value" in held for one in controls for held in one["differences"])
    assert "| Model | Value | Interval | random | centre | Scored |" in compared.text("md")
    assert not re.search(r"^###.*· (random|centre)", compared.text("md"), re.MULTILINE)


def test_only_an_interval_and_a_corrected_p_mark_a_difference(compared: Compared) -> None:
    marked = sum(
        (held["interval"].get("lower", 0) > 0 or held["interval"].get("upper", 0) < 0)
        and held["adjusted_p_value"] < 0.05
        for one in compared.document["comparisons"]
        for held in one["differences"]
        if "interval" in held and "adjusted_p_value" in held
    )
    legends = 1
    assert marked
    assert compared.text("html").count("●") == marked + legends
    assert compared.text("md").count("●") == marked + legends


def test_gains_are_a_matrix_of_judges_and_maps(compared: Compared) -> None:
    (held,) = [
        result
        for result in compared.document["evaluation"]["results"]
        if "inter_model_deletion" in result["metric"] and "grad_cam" in result["explainer"]
    ]
    gains = [name for name in held["parts"] if name.startswith("gain[")]
    assert len(gains) == 3 * (3 + 2)
    assert len(re.findall(r'class="number share-\d+', compared.text("html"))) == len(gains)
    for name in gains:
        value = held["parts"][name].get("value", 0.0)
        assert f"<strong>{value:.4g}</strong>".replace("-0<", "0<") in compared.text("html")


def test_curves_stand_side_by_side_by_model(compared: Compared) -> None:
    page = compared.text("html")
    strips = page.split('<div class="charts">')[1:]
    assert len(strips) == 4  # all metrics but explanation_consistency
    for strip in strips:
        drawn = re.findall(r'<figure class="card chart">\s*<h3>.*?<bdi>(.*?)</bdi>', strip)
        assert [name.replace("<wbr>", "") for name in drawn] == MODELS
    assert "model 1" not in page


def test_a_document_says_what_it_compares(compared: Compared) -> None:
    document = compared.document
    assert [model["display_name"] for model in document["models"]] == MODELS
    assert document["reference"] == ""
    assert len(document["image_results"]) == 12


def test_preprocessing_and_images_are_told(compared: Compared) -> None:
    for kind in ("out", "md", "html"):
        assert "resize" in compared.text(kind)
        assert "12 of 12 images" in compared.text(kind)


@pytest.mark.parametrize(
    ("models", "more", "message"),
    [
        (["sound.onnx"], [], "only sound.onnx was given: name at least 2 models"),
        (["sound.onnx", "copy.onnx"], [], "sound.onnx and copy.onnx have equal bytes"),
        (["sound.onnx", "gone.onnx"], [], "cannot read model gone.onnx"),
        (["sound.onnx", "old/sound.onnx"], ["--reference", "copy.onnx2"], "none of the models"),
        (MODELS, ["--output", "other"], "sound.onnx: unknown output 'other'"),
    ],
)
def test_what_cannot_be_compared_ends_with_2_and_names_files(  # noqa: PLR0917  # fixtures and cases
    home: Path,
    served: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    models: list[str],
    more: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(home)
    asked = ["compare", *models, "--images", "images", *QUESTION, "--server", served, *more]
    assert run(asked) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("other", "faults"),
    [
        ({"classes": 4}, ["four.onnx", "classes"]),
        ({"side": 48}, ["four.onnx", "48"]),
    ],
)
def test_models_that_do_not_fit_are_refused_by_their_files(  # noqa: PLR0917  # fixtures and cases
    home: Path,
    served: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    other: dict[str, int],
    faults: list[str],
) -> None:
    monkeypatch.chdir(home)
    (home / "four.onnx").write_bytes(network(100, **other))
    asked = ["sound.onnx", "four.onnx", "--images", "images", *QUESTION, "--server", served]
    assert run(["compare", *asked]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert all(fault in said for fault in faults), said
    assert "sha256" not in said


def test_a_fault_of_one_model_is_told_by_its_file(
    home: Path, served: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    twofold = onnx.load_from_string(network(50))
    twofold.graph.node.add(op_type="Neg", input=["logits"], output=["other"])
    twofold.graph.output.add().CopyFrom(twofold.graph.output[0])
    twofold.graph.output[1].name = "other"
    onnx.save(twofold, home / "twofold.onnx")
    asked = ["sound.onnx", "twofold.onnx", "--images", "images", *QUESTION, "--server", served]
    assert run(["compare", *asked]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert "twofold.onnx: 2 outputs may hold class scores" in said


def test_a_reference_is_what_the_others_are_held_against(home: Path, served: str) -> None:
    name = "./old/../old/sound.onnx"
    asked = [*MODELS, "--images", "images/00.png", *QUESTION[:6], "--server", served]
    done = command(home, *asked, "--reference", name, "--json", "r.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((home / "r.json").read_text())
    reference = document["models"][2]["name"]
    assert document["reference"] == reference
    for one in document["comparisons"]:
        assert [held["second"] for held in one["differences"]] == [reference] * 2
    assert "each model against old/sound.onnx" in done.stdout


def test_models_may_go_by_the_names_that_the_server_has(home: Path, served: str) -> None:
    asked = ["--images", "images/00.png", *QUESTION[:6], "--server", served]
    (home / "own").mkdir()
    files = [f"own/{name}" for name in MODELS[:2]]
    for file, gain in zip(files, (17, 19), strict=True):  # nobody has uploaded them otherwise
        (home / file).write_bytes(network(gain))
    done = command(home, *files, *asked, "--json", "n.json")
    assert done.returncode == 0, done.stderr
    names = [model["name"] for model in json.loads((home / "n.json").read_text())["models"]]
    again = command(home, *names, *asked, "--reference", names[0])
    assert again.returncode == 0, again.stderr
    assert "1 sound.onnx " in again.stdout
    assert "2 [bold]faint|.onnx " in again.stdout
    assert "2 less 1 " in again.stdout
    assert "1 less 2 " not in again.stdout


def test_an_interrupt_ends_with_130_and_cancels(
    home: Path, script: fakes.Script, address: str
) -> None:
    script.hangs = True
    arguments = [*MODELS[:2], "--images", "images", *QUESTION, "--server", address]
    assert interrupted(["compare", *arguments], cwd=home) == 130
    assert len(script.calls["CancelEvaluation"]) == 1


def asked(**options: Any) -> compare.ComparedOptions:
    return compare.ComparedOptions(models=["a", "b"], images="i", **options)


NEEDS = {
    "deletion": ["attribution", "removal"],
    "occlusion_corrected_deletion": ["attribution", "removal"],
    "inter_model_deletion": ["attribution", "removal", "panel"],
    "occlusion_robustness": ["removal"],
    "explanation_consistency": ["attribution", "explainer", "gradients"],
}
CATALOG = read(
    Catalog, {"metrics": [{"name": name, "needs": needs} for name, needs in NEEDS.items()]}
)


def chosen(held: Panel, *, has_masks: bool = False, **options: Any) -> compare.Choices:
    return compare._choices(held, asked(**options), CATALOG, has_masks=has_masks)


def panel(*facts: dict[str, Any]) -> Panel:
    models = tuple(
        read(Model, {"name": f"models/{index}", "display_name": f"{index}.onnx", **held})
        for index, held in enumerate(facts)
    )
    return Panel(models, tuple(model.display_name for model in models))


LARGE = {"facts": {"height": 224, "width": 224}}


def refusing(kind: str, *names: str) -> dict[str, Any]:
    uses = [{"name": name, "usable": False, "reason": "no gradient"} for name in names]
    return {**LARGE, "usability": {kind: uses}}


@pytest.mark.parametrize(
    ("facts", "removal"),
    [
        ([LARGE, LARGE], "layer"),
        ([LARGE, {"facts": {"height": 224, "width": 223}}], "blur"),
        ([LARGE, refusing("removals", "layer")], "blur"),
    ],
)
@pytest.mark.parametrize("metric", [[], ["inter_model_deletion"]])
def test_layer_masking_is_chosen_where_every_model_allows_it(
    facts: list[dict[str, Any]], removal: str, metric: list[str]
) -> None:
    choices = chosen(panel(*facts), metric=metric)
    assert choices["removals"] == [{removal: {}}]


def test_metrics_that_a_model_does_not_allow_are_left_out_and_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    held = panel(LARGE, refusing("metrics", "explanation_consistency"))
    metrics = chosen(held)["metrics"]
    assert [next(iter(metric)) for metric in metrics] == list(compare.METRICS[:-1])  # type: ignore[arg-type]  # dictionaries
    said = capfd.readouterr().err
    assert "explanation_consistency is left out: 1.onnx: no gradient" in said


def test_models_that_no_usual_metric_fits_are_refused_with_the_reason_once() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(panel(LARGE, refusing("metrics", *compare.METRICS)))
    assert "none of the usual metrics fits all models: 1.onnx: no gradient --" in str(caught.value)


SMALL: dict[str, Any] = {"facts": {"height": 48, "width": 32}}
PROBED: dict[str, Any] = {"facts": {"height": 448, "width": 448, "probed": True}}


@pytest.mark.parametrize(
    ("facts", "has_masks", "is_left_out"),
    [
        ([LARGE, SMALL], False, True),
        ([LARGE, LARGE, SMALL], False, True),
        ([LARGE, SMALL], True, False),
        ([LARGE, PROBED], False, False),
    ],
)
def test_maps_of_different_sizes_are_not_laid_over_each_other(
    facts: list[dict[str, Any]],
    has_masks: bool,
    is_left_out: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    metrics = chosen(panel(*facts), has_masks=has_masks)["metrics"]
    found = {next(iter(metric)) for metric in metrics}  # type: ignore[arg-type]  # dictionaries
    assert ("explanation_consistency" not in found) == is_left_out
    said = "0.onnx reads 224 x 224 pixels and"
    assert (said in capfd.readouterr().err) == is_left_out


@pytest.mark.parametrize(("has_masks", "background"), [(True, "object"), (False, "shared")])
def test_the_attacked_background_is_the_same_for_all_models(
    has_masks: bool, background: str
) -> None:
    metrics = chosen(panel(LARGE, LARGE), has_masks=has_masks)["metrics"]
    assert metrics[-1] == {"explanation_consistency": {"background": background}}


def test_controls_are_added_once_whatever_is_asked_for() -> None:
    held = panel(LARGE, refusing("explainers", "grad_cam"))
    choices = chosen(held, explainer=["random", "saliency"])
    names = [next(iter(one)) for one in choices["explainers"]]  # type: ignore[arg-type]  # dictionaries
    assert names == ["random", "saliency", "centre"]
    assert chosen(held)["explainers"][0] == {"rise": {}}


@pytest.mark.parametrize(
    ("metric", "explainers", "removals"),
    [
        ("deletion:grid=4", 3, 1),
        ("explanation_consistency", 3, 0),
        ("occlusion_robustness", 0, 1),
        ("plugged_in", 0, 0),
    ],
)
def test_nothing_is_chosen_that_no_metric_reads(
    metric: str, explainers: int, removals: int
) -> None:
    choices = chosen(panel(LARGE, LARGE), metric=[metric])
    assert (len(choices["explainers"]), len(choices["removals"])) == (explainers, removals)


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["x/a.onnx", "y/b.onnx"], ["a.onnx", "b.onnx"]),
        (["x/a.onnx", "y/a.onnx", "c.onnx"], ["x/a.onnx", "y/a.onnx", "c.onnx"]),
        (["a.onnx", "y/a.onnx"], ["a.onnx", "y/a.onnx"]),
        (["1/x/a.onnx", "2/x/a.onnx"], ["1/x/a.onnx", "2/x/a.onnx"]),
        (["p/1/x/a.onnx", "/p/2/x/a.onnx"], ["1/x/a.onnx", "2/x/a.onnx"]),
        (["models/sha256-1", "y/stored.onnx"], ["stored.onnx", "y/stored.onnx"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(sources: list[str], names: list[str]) -> None:
    class Inspecting:
        def inspect(self, source: str, **_: object) -> Model:
            return Model(name=f"models/{source}", display_name="stored.onnx")

    found = Panel.of(Inspecting(), sources, {}, lambda _: None)  # type: ignore[arg-type]  # what is called
    assert [model.display_name for model in found.models] == names
