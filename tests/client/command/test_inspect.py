"""`heatproof inspect`: what the table and the JSON say of a model."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format

from heatproof.client.command.application import run
from heatproof.v1.model_pb2 import Blocker, CamTensor, Model, ModelFacts, Support, Usability, Use
from tests.client import fakes

NAME = "models/sha256-00"


@pytest.fixture
def model(script: fakes.Script) -> Model:
    blockers = [
        Blocker(node=f"n{i}", operator="MatMul-13", reason="attention" if i % 2 else "mixing")
        for i in range(9)
    ]
    facts = ModelFacts(
        image_input="image",
        layout="nchw",
        class_output="scores",
        classes=5,
        activation="none",
        multiply_adds=1234567,
        cam_tensors=[
            CamTensor(name="early", channels=4, height=16, width=8),
            CamTensor(
                name="late", channels=8, height=4, width=2, is_default=True,
                field_height=31, field_width=15,
            ),
        ],
        layer_masking=Support(blockers=blockers),
        gradients=Support(supported=True),
        height=32,
        width=16,
        probed=True,
    )  # fmt: skip
    usability = Usability(
        removals=[Use(name="black", usable=True), Use(name="layer", reason="needs layer masking")],
        metrics=[Use(name=name, reason="needs gradients") for name in ("one", "two")],
        explainers=[Use(name="supplied", usable=True, reason="needs maps")],
    )
    script.models[NAME] = Model(name=NAME, display_name="net", facts=facts, usability=usability)
    return script.models[NAME]


def rows(printed: str) -> list[str]:
    return [" ".join(line.split()) for line in printed.splitlines()]


def test_the_table_says_what_works_and_what_does_not(
    address: str, model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", model.name, "--server", address]) == 0
    found = rows(capfd.readouterr().out)
    for row in (
        "image size open; what follows holds for 32 x 16 pixels",
        "rewrite --layer-masking needs it fixed",
        "multiply-adds 1,234,567 an image",
        "Grad-CAM layers late: 8 x 4 x 2, a cell sees 31 x 15 pixels",
        "the default; 2 in all, listed by --layers",
        "layer masking no",
        "n0: MatMul-13,",
        "n4: MatMul-13: mixing",
        "n3: MatMul-13,",
        "n5: MatMul-13: attention",
        "and more, listed by --json -",
        "gradients yes",
        "removal operators black",
        "layer not: needs layer masking",
        "explainers supplied",
        "supplied: needs maps",
        "metrics none",
        "one, two not: needs gradients",
    ):
        assert row in found
    assert not any("n6" in row for row in found)


def test_all_layers_are_listed_if_asked_for(
    address: str, model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", model.name, "--layers", "--server", address]) == 0
    found = rows(capfd.readouterr().out)
    assert "Grad-CAM layers early: 4 x 16 x 8" in found
    assert "late: 8 x 4 x 2, a cell sees 31 x 15 pixels, the default" in found


def test_the_json_is_the_message(
    address: str, model: Model, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "model.json"
    assert run(["inspect", model.name, "--json", str(path), "--server", address]) == 0
    assert "image size" in capfd.readouterr().out
    assert run(["inspect", model.name, "--json", "-", "--server", address]) == 0
    for text in (path.read_text(), capfd.readouterr().out):
        assert json_format.ParseDict(json.loads(text), Model()) == model


def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    address: str, script: fakes.Script
) -> None:
    assert run(["inspect", NAME, "--json", "/no/such/folder/m.json", "--server", address]) == 2
    assert not script.calls["GetModel"]
