"""`heatproof rewrite` on what torch exports, weights beside the model, through a real server."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from heatproof.client.command.application import run
from tests.system.serving import Served

VARIANTS = {
    "--layer-masking": ("mask", "mask_coverage"),
    "--layer-masking --mode strict --concat intersection": ("mask", "mask_coverage"),
    "--layer-masking --global-pool plain --mask-threshold 0.5": ("mask", "mask_coverage"),
    "--layer-masking --platform cpu": ("mask", "mask_coverage"),
    "--gradient --platform cuda": ("output_gradient", "input_gradient"),
    "--layer-masking --fill none": ("mask", "mask_coverage"),
    "--layer-masking --fill partial": ("mask", "mask_coverage"),
    "--gradient": ("output_gradient", "input_gradient"),
}


class Classifier(nn.Module):
    """A residual with a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.left, self.right = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 5, padding=2)
        self.head = nn.Linear(32, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(image))
        x = torch.cat([x + self.left(x), self.right(x)], 1)
        scores: torch.Tensor = self.head(torch.relu(x).mean((2, 3)))
        return scores


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with its weights in a second file, as torch leaves it."""
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            Classifier().eval(), (torch.zeros(1, 3, 32, 32),), path,
            dynamo=True, verbose=False, input_names=["image"], output_names=["scores"],
        )  # fmt: skip
    assert path.with_name("net.onnx.data").exists()
    return path


def opened(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 2  # warnings
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    mask = np.ones((1, 1, 32, 32), np.float32)
    gradient = rng.random((1, 5), np.float32)
    image = rng.random((1, 3, 32, 32), np.float32)
    return {"image": image, "mask": mask, "output_gradient": gradient}


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")  # of torch
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_written_model_keeps_what_the_model_has_and_adds_what_was_asked_for(
    served: Served, exported: Path, tmp_path: Path, variant: str, capfd: Any
) -> None:
    target, (given, made) = tmp_path / "out.onnx", VARIANTS[variant]
    target.write_bytes(b"an older file")
    command = ["rewrite", str(exported), "-o", str(target), *variant.split()]
    assert run([*command, "--server", served.address]) == 0
    first = target.read_bytes()
    assert run([*command, "--server", served.address]) == 0
    assert target.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]

    onnx.checker.check_model(first, full_check=True)
    capfd.readouterr()
    plain, rewritten = opened(exported), opened(target)
    inputs, outputs = rewritten.get_inputs(), rewritten.get_outputs()
    assert [value.name for value in inputs] == ["image", given]
    assert [value.name for value in outputs] == ["scores", made]
    held = {value.name: feeds()[value.name] for value in inputs}
    scores, added = rewritten.run(None, held)
    expected = plain.run(None, {"image": held["image"]})[0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)  # float32 sums reordered
    assert added.shape == ((1,) if made == "mask_coverage" else (1, 3, 32, 32))
    assert capfd.readouterr().err == ""


def test_a_model_that_is_masked_already_is_refused(
    served: Served, exported: Path, tmp_path: Path, capfd: Any
) -> None:
    target = tmp_path / "out.onnx"
    command = ["rewrite", "--layer-masking", "--server", served.address, "-o", str(target)]
    assert run([*command, str(exported)]) == 0
    written = target.read_bytes()
    again = ["rewrite", "--layer-masking", "--server", served.address, str(target)]
    assert run([*again, "-o", str(tmp_path / "twice.onnx")]) == 2
    assert "layer-masked already" in capfd.readouterr().err
    assert not (tmp_path / "twice.onnx").exists()
    assert run([*again, "-o", str(target)]) == 2
    assert "a file of the model itself" in capfd.readouterr().err
    assert target.read_bytes() == written
