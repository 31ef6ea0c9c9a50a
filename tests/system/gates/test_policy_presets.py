"""Policies that come with Heatproof: what each must let through and what it must stop."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from heatproof.client import Client
from heatproof.client.documents.policies import PRESETS, preset_text, read_policy
from heatproof.client.documents.results import GateReport
from heatproof.client.errors import HeatproofError
from heatproof.v1.gate_pb2 import CheckResult
from tests.system.serving import Served

CELL, CELLS, IMAGES = 32, 4, 64
"""Pixels of a cell, cells a side, and images, of which intervals on [-1, 1] need many."""

NETWORK = """
<ir_version: 9, opset_import: ["" : 18]>
cells (float[N, 3, 128, 128] image) => (float[N, 2] logits) {
    deep = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, kernel, shift)
    seen = Relu(deep)
    pooled = GlobalAveragePool(seen)
    flat = Flatten(pooled)
    logits = Gemm(flat, head, bias)
}
"""
OPTIONS: dict[str, Any] = {"preprocessing": {"resize": "none"}}


def network(path: Path, *, gain: float, bias: float, inverts: bool = False) -> Path:
    """Class 0 has `gain` times the mean of red, or of its lack, plus `bias`; class 1 has 2."""
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for colour in range(3):
        kernel[colour, colour] = (-1 if inverts else 1) / 9
    head = np.zeros((3, 2), np.float32)
    head[0, 0] = gain
    arrays = {
        "kernel": kernel,
        "shift": np.full(3, float(inverts), np.float32),
        "head": head,
        "bias": np.array([bias, 2], np.float32),
    }
    model = onnx.parser.parse_model(NETWORK)
    model.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in arrays.items()
    )
    onnx.save(model, path)
    return path


def pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cells of all reds in some order, with a mask of the reddest; their mean is always 0.28."""
    rng = np.random.default_rng(5)
    red = np.append(np.linspace(0, 0.45, CELLS**2 - 1), 1.0)
    values = np.stack([rng.permutation(red) for _ in range(IMAGES)]).reshape(-1, CELLS, CELLS)
    cells = np.stack([values, *rng.uniform(0, 1, (2, *values.shape))], axis=-1)
    images = np.kron(cells, np.ones((1, CELL, CELL, 1)))
    masks = np.kron(values == 1, np.ones((1, CELL, CELL)))
    return (255 * images).round().astype(np.uint8), masks.astype(np.uint8)


PICTURES, MASKS = pictures()
GAIN = 4 / 0.273


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parent, a well quantised one, one that reads everything the other way round."""
    folder = tmp_path_factory.mktemp("presets")
    network(folder / "parent.onnx", gain=GAIN, bias=0)
    network(folder / "inverted.onnx", gain=-GAIN, bias=8)
    network(folder / "background.onnx", gain=4 / 0.727, bias=0, inverts=True)
    quantize_static(
        folder / "parent.onnx", folder / "int8.onnx", Reader(), weight_type=QuantType.QInt8
    )
    return folder


class Reader(CalibrationDataReader):
    """Hands the pictures to the quantiser."""

    def __init__(self) -> None:
        self._left = iter(PICTURES[:8])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        for picture in self._left:
            return {"image": (picture.transpose(2, 0, 1)[None] / np.float32(255))}
        return None


@pytest.fixture(scope="module")
def client(served: Served) -> Any:
    with Client.connect(served.address) as client:
        yield client


def outcomes(report: GateReport) -> dict[str, str]:
    """The outcome of each check, by its metric."""
    metrics = [report.policy.checks[held.check].metric for held in report.verdict.checks]
    return {
        f"{metric.WhichOneof('metric')} {place}": CheckResult.Outcome.Name(held.outcome)
        for place, (metric, held) in enumerate(zip(metrics, report.verdict.checks, strict=True))
    }


@pytest.mark.parametrize(("candidate", "passes"), [("int8", True), ("inverted", False)])
def test_deployment_passes_a_kept_map_and_fails_one_inverted_in_the_candidate_only(
    client: Client, folder: Path, candidate: str, passes: bool
) -> None:
    report = client.gate(
        folder / f"{candidate}.onnx", list(PICTURES), policy="deployment",
        baseline=folder / "parent.onnx", **OPTIONS,
    )  # fmt: skip
    assert report.passed == passes, outcomes(report)
    if not passes:
        failed = {name for name, outcome in outcomes(report).items() if outcome == "OUTCOME_FAIL"}
        assert "agreement_spearman 0" in failed
        assert all(one.predictions[0].target == one.predictions[1].target for one in report.images)


@pytest.mark.parametrize(("model", "passes"), [("parent", True), ("background", False)])
def test_medical_fails_a_map_inverted_in_both_arms_by_localization(
    client: Client, folder: Path, model: str, passes: bool
) -> None:
    report = client.gate(
        folder / f"{model}.onnx", list(PICTURES), policy="medical", masks=list(MASKS),
        labels=[0] * IMAGES, groups=[f"hospital {place % 8}" for place in range(IMAGES)],
        baseline=folder / f"{model}.onnx", **OPTIONS,
    )  # fmt: skip
    expected = "OUTCOME_PASS" if passes else "OUTCOME_FAIL"
    assert outcomes(report)["localization_auc 1"] == expected, outcomes(report)
    assert report.passed == passes, outcomes(report)


def test_medical_asks_for_masks_and_groups_before_anything_runs(
    client: Client, folder: Path
) -> None:
    with pytest.raises(HeatproofError, match=r"groups of images.*column group"):
        client.gate(
            folder / "parent.onnx", list(PICTURES[:2]), policy="medical",
            masks=list(MASKS[:2]), **OPTIONS,
        )  # fmt: skip


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_research_fails_a_map_inverted_in_both_arms(
    client: Client, folder: Path, sign: float
) -> None:
    rules = preset_text("research").replace('"grad_cam"', '"supplied"')
    (folder / "own.toml").write_text(rules)
    maps = [sign * picture[..., 0].astype(np.float32) for picture in PICTURES]
    report = client.gate(
        folder / "parent.onnx", list(PICTURES), policy=folder / "own.toml", maps=maps,
        baseline=folder / "parent.onnx", **OPTIONS,
    )  # fmt: skip
    assert report.passed == (sign > 0), outcomes(report)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_how_it_is_called_and_is_a_policy(name: str) -> None:
    assert f"--policy {name}" in preset_text(name)
    assert read_policy(name).checks


def test_a_name_that_is_no_policy_lists_the_presets() -> None:
    with pytest.raises(HeatproofError, match="deployment, medical, research"):
        read_policy("deploy")
