"""A class by the name that the model's file has, from its metadata to every report."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from heatproof.client import Client
from heatproof.client.command.application import run
from heatproof.client.errors import HeatproofError
from tests.system.answers.multi_label import CLASSES, network, write_images
from tests.system.serving import Served

NAMES = ["red", "green", "blue", "all", "none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    write_images(folder)
    for name, held in {"named": NAMES, "renamed": NAMES[::-1], "bare": None}.items():
        model = onnx.load_from_string(network())
        if held is not None:
            model.metadata_props.add(key="names", value=str(dict(enumerate(held))))
        onnx.save(model, folder / f"{name}.onnx")
    return folder


@pytest.fixture(scope="module")
def client(served: Served) -> Any:
    with Client.connect(served.address) as client:
        yield client


OPTIONS: dict[str, Any] = {"preprocessing": {"resize": "none"}, "explainers": ["saliency"]}


def test_a_class_goes_by_the_name_in_the_file(client: Client, folder: Path) -> None:
    image = folder / "images" / "03.png"
    assert list(client.inspect(folder / "named.onnx").facts.class_names) == NAMES
    assert len(client.inspect(folder / "bare.onnx").facts.class_names) == 0

    def target(name: str, wanted: str, **more: Any) -> int:
        (found,) = client.explain(
            folder / f"{name}.onnx", [image], target=wanted, **OPTIONS, **more
        )
        return found.prediction.target

    assert target("named", "class:green") == 1
    assert target("renamed", "class:green") == CLASSES - 2
    assert target("named", "class:green", class_names=["green", "b", "c", "d", "e"]) == 0
    with pytest.raises(HeatproofError, match=r"gren.*green"):
        target("named", "class:gren")
    with pytest.raises(HeatproofError, match=r"no class_names.*facts\.class_names"):
        target("bare", "class:green")


def test_evaluations_of_models_that_agree_go_by_the_names(client: Client, folder: Path) -> None:
    def spec(*models: str) -> Any:
        return client.evaluate(
            [folder / f"{name}.onnx" for name in models], folder / "images", target="class:blue",
            preprocessing={"resize": "none"}, metrics=[{"insertion": {"grid": 2, "steps": 2}}],
            explainers=["random"], removals=["black"],
        ).evaluation.spec  # fmt: skip

    assert spec("named").target.fixed_class.index == 2
    with pytest.raises(HeatproofError, match="no class_names"):
        spec("named", "renamed")


def test_the_gate_and_its_reports_show_the_names(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(folder)
    (folder / "policy.toml").write_text(
        'explainers = ["random"]\nremovals = ["black"]\ntarget = "class:blue"\n'
        '[model.preprocessing]\nresize = "none"\n'
        '[[checks]]\nmetric = { insertion = { grid = 2, steps = 2 } }\nmin = 0.0\non = "mean"\n'
    )
    asked = ["gate", "--model", "named.onnx", "--images", "images", "--policy", "policy.toml"]
    files = ["--labels", "labels.csv", "--markdown", "r.md", "--server", served.address]
    assert run([*asked, *files]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "green, blue" in told
    page = (folder / "r.md").read_text()
    assert "Explained: blue" in page
    assert "| 04.png | named.onnx | red " in page
    (folder / "own.txt").write_text("\n".join("vwxyz"))
    assert run([*asked[:-2], "--policy", "policy.toml", *files, "--target", "class:x",
                "--classes", "own.txt"]) == 0  # fmt: skip
    assert "| 04.png | named.onnx | v " in (folder / "r.md").read_text()
    assert run(["inspect", "named.onnx", "--server", served.address]) == 0
    assert "names in the file: red, green, blue, all, none" in " ".join(
        capsys.readouterr().out.split()
    )
