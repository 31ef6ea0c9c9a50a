"""Old models mean the same at the opset that they are raised to."""

import logging

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.preparation.opsets import raised

SHAPE = (1, 2, 8, 6)
SCALES = [(2.0, 2.0), (2.0, 1.5), (0.5, 0.5), (0.6, 0.7), (0.4, 1.0)]
ENLARGING = SCALES[:2]


def network(opset: int, nodes: str, inputs: str = "") -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g (float[1, 2, 8, 6] x{inputs}) => (float[1, 2, h, w] y) {{ {nodes} }}"""
    )


def resizing(opset: int, mode: str, scales: tuple[float, float]) -> ir.Model:
    factors = f"1.0, 1.0, {scales[0]}, {scales[1]}"
    if opset < 9:
        return network(opset, f'y = Upsample <mode = "{mode}", scales = [{factors}]> (x)')
    op_type = "Resize" if opset == 10 else "Upsample"
    given = f"s = Constant <value = float[4] {{{factors}}}> ()"
    return network(opset, f'{given} y = {op_type} <mode = "{mode}"> (x, s)')


def result(model: ir.Model) -> NDArray[np.float32]:
    proto = ir.to_proto(model).SerializeToString()
    session = ort.InferenceSession(proto, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    return np.asarray(session.run(None, {"x": image})[0])


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("opset", "scales"),
    [(opset, pair) for opset in range(7, 11) for pair in (SCALES if opset == 10 else ENLARGING)],
)
def test_a_raised_resizing_samples_the_same_places(
    opset: int, scales: tuple[float, float], mode: str
) -> None:
    model = resizing(opset, mode, scales)
    assert raised(model).graph.opset_imports[""] == 13
    np.testing.assert_array_equal(result(raised(model)), result(model))


def test_what_rounds_up_and_down_at_once_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="above and below 1"):
        raised(resizing(10, "nearest", (2.0, 0.4)))


def test_what_cannot_be_converted_is_refused_with_the_reason() -> None:
    nodes = "y = BatchNormalization <spatial = 0> (x, s, s, s, s)"
    with pytest.raises(UnsupportedModelError, match=r"opset 8 cannot .* spatial must"):
        raised(network(8, nodes, ", float[2] s"))


def test_raising_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        raised(network(7, "y = Relu (x)"))
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_newer_models_are_left_alone() -> None:
    model = network(11, "y = Relu (x)")
    assert raised(model) is model
