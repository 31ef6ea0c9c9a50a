"""What torch's two exporters make of small networks: every opset, open and fixed batches, types."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime import quantization
from torch import nn

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.gradients import differentiated, gradient_blockers
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.preparation import prepared
from tests.graphs.masking.laws import CHECKS, Laws
from tests.graphs.networks import NETWORKS, built
from tests.graphs.sessions import opened

Array = NDArray[Any]
Export = Callable[..., ir.Model]

SIZE = 32
TOLERANCE = 2e-5
"""Of the norm: float32 rounds to 6e-8, and errors add up over some 20 layers of 10^2 terms."""

HALF_TOLERANCE = 1e-2
"""Likewise: float16 rounds to 5e-4."""

SMALL = ["resnet_basic", "mobilenet_v3", "densenet"]
CASES = [  # network, options of the exporter; every opset that a fixed or open batch changes
    *((SMALL[place % 3], {"opset": opset, "batch": batch, "folded": folded})
      for place, (opset, batch, folded) in enumerate([
        (11, None, True), (11, 1, False), (13, None, False), (13, 1, True), (17, None, True),
        (17, 1, False), (18, None, False), (20, None, True), (20, 1, False), (23, None, False),
      ])),
    *((SMALL[place % 3], {"dynamo": True, "opset": opset, "batch": batch, "folded": folded})
      for place, (opset, batch, folded) in enumerate([
        (18, None, True), (18, 1, False), (20, None, False), (23, 1, True), (25, None, True),
      ])),
]  # fmt: skip


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {name: built(NETWORKS[name], SIZE) for name in SMALL}


def relative(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    difference = found.astype(np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))


def autograd(network: nn.Module, image: Array, vector: Array) -> tuple[Array, Array]:
    leaf = torch.tensor(image, requires_grad=True)
    logits = network(leaf)
    (gradient,) = torch.autograd.grad(logits, leaf, torch.tensor(vector))
    return logits.detach().numpy(), gradient.numpy()


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_whatever_the_exporter_the_rewrites_agree_with_torch(
    torch_model: Export, networks: dict[str, nn.Module], name: str, options: dict[str, Any]
) -> None:
    network, batch, rng = networks[name], options["batch"], np.random.default_rng(0)
    model = torch_model(network, SIZE, **options)
    image = rng.standard_normal((batch or 2, 3, SIZE, SIZE)).astype(np.float32)
    vector = rng.standard_normal((batch or 2, 7)).astype(np.float32)
    logits, gradient = autograd(network, image, vector)
    assert relative(opened(prepared(model))(image=image)["logits"], logits) < TOLERANCE
    mask = np.ones((batch or 2, 1, SIZE, SIZE), np.float32)
    masked = opened(layer_masked(model))(image=image, mask=mask)
    assert relative(masked["logits"], logits) < TOLERANCE
    derived = opened(differentiated(model))(image=image, output_gradient=vector)
    assert relative(derived["input_gradient"], gradient) < TOLERANCE


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("name", "dynamo"), [*((name, False) for name in SMALL), ("resnet_basic", True)]
)
def test_networks_of_half_precision_obey_the_laws(
    torch_model: Export, name: str, dynamo: bool, mode: Mode
) -> None:
    network = built(NETWORKS[name], SIZE).half()
    model = torch_model(network, SIZE, dynamo=dynamo, dtype=torch.float16)
    laws = Laws(model, MaskingOptions(mode=mode), tolerance=HALF_TOLERANCE)
    for name_of_check, check in CHECKS.items():
        if name_of_check != "masks":  # maps of 4 x 4 cells are visible as a whole
            check(laws)


class Reader(quantization.CalibrationDataReader):
    """A few random images to calibrate with."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        images = (rng.standard_normal((2, 3, SIZE, SIZE)).astype(np.float32) for _ in range(4))
        self._feeds = ({"image": image} for image in images)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


KINDS = quantization.QuantType


@pytest.fixture(scope="module", params=[(True, KINDS.QInt8), (False, KINDS.QUInt8)])
def quantized(
    request: pytest.FixtureRequest, torch_model: Export, tmp_path_factory: pytest.TempPathFactory
) -> ir.Model:
    per_channel, activations = request.param
    folder = tmp_path_factory.mktemp("quantized")
    model = torch_model(built(NETWORKS["resnet_basic"], SIZE), SIZE, opset=17)
    onnx.save(ir.to_proto(prepared(model)), folder / "float.onnx")
    quantization.quantize_static(
        folder / "float.onnx", folder / "quantized.onnx", Reader(), per_channel=per_channel,
        quant_format=quantization.QuantFormat.QDQ, activation_type=activations,
        weight_type=KINDS.QInt8,
    )  # fmt: skip
    return ir.from_proto(onnx.load(folder / "quantized.onnx"))


def test_quantized_models_stay_quantized(quantized: ir.Model) -> None:
    kinds = [node.op_type for node in prepared(quantized).graph]
    assert kinds.count("QuantizeLinear") > 5
    weights = [node.inputs[1] for node in prepared(quantized).graph if node.op_type == "Conv"]
    assert all(w is not None and w.shape is not None and w.shape.is_static() for w in weights)


def test_quantized_models_obey_the_laws(quantized: ir.Model) -> None:
    laws = Laws(quantized, MaskingOptions(), tolerance=0.1)  # a quantum may tip over in each layer
    for check, holds in CHECKS.items():
        if check != "masks":  # of a few cells at depth, a wide window shows all
            holds(laws)


def test_gradients_of_quantized_models_are_refused_with_a_reason(quantized: ir.Model) -> None:
    blockers = gradient_blockers(quantized)
    assert {blocker.operator.split("-")[0] for blocker in blockers} <= {
        "QuantizeLinear",
        "DequantizeLinear",
    }
    assert blockers
    assert all(blocker.reason for blocker in blockers)
    with pytest.raises(UnsupportedOperatorError, match="before quantisation"):
        differentiated(quantized)
