"""What is refused, by which name, and for which reason."""

import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.gradients import differentiated, gradient_blockers

HEAD = '<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>'
IMAGE = "g (float[1, 3, 8, 8] x, bool c, float[1, 4, 4, 2] at, float[2, 4] rois, int64[2] of)"
QUANTISED = """
<float s = {0.1}, uint8 z = {128}>
{
    q = QuantizeLinear (x, s, z)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q)
    y = DequantizeLinear (p, s, z)
}
"""
DYNAMIC = """
{
    q, s, z = DynamicQuantizeLinear (x)
    w = Constant <value = uint8[2, 3, 1, 1] {1, 2, 3, 4, 5, 6}> ()
    n = ConvInteger (q, w, z)
    y = Cast <to = 1> (n)
}
"""
BRANCHES = """
{
    y = If (c) <
        then_branch = a () => (float[1, 3, 8, 8] t) { t = Relu (x) },
        else_branch = b () => (float[1, 3, 8, 8] e) { e = Neg (x) }
    >
}
"""
LSTM = """
<float[1, 8, 8] w = {0}, float[1, 8, 2] r = {0}>
{
    k = Constant <value = int64[3] {-1, 1, 8}> ()
    flat = Reshape (x, k)
    y, h, o = LSTM <hidden_size = 2> (flat, w, r)
}
"""
REFUSED = {
    "QuantizeLinear": (QUANTISED, "occlusion and rise"),
    "DequantizeLinear": (QUANTISED, "before quantisation"),
    "DynamicQuantizeLinear": (DYNAMIC, "before quantisation"),
    "If": (BRANCHES, "control flow"),
    "GridSample": ("{ y = GridSample (x, at) }", "computed places"),
    "RoiAlign": ("{ y = RoiAlign (x, rois, of) }", "computed places"),
    "Bernoulli": ("{ y = Bernoulli (x) }", "random"),
    "Dropout": (
        """{ r = Constant <value = float {0.5}> ()  d, m = Dropout (x, r, c)
             q = Cast <to = 1> (m)  y = Mul (d, q) }""",
        "model.eval()",
    ),
    "Det": ("{ y = Det (x) }", "none of Det"),
}


def model_of(body: str) -> ir.Model:
    given, brace, nodes = body.partition("{\n") if body.lstrip().startswith("<") else ("", "", body)
    return ir.from_onnx_text(f"{HEAD} {IMAGE} => (float[] y) {given} {brace} {nodes}")


@pytest.mark.parametrize("operator", REFUSED)
def test_what_has_no_gradient_is_refused_by_name_and_reason(operator: str) -> None:
    body, reason = REFUSED[operator]
    blockers = gradient_blockers(model_of(body), of="y", wrt="x")
    assert [one.operator.partition("-")[0] for one in blockers].count(operator) == 1
    (found,) = (one for one in blockers if one.operator.startswith(f"{operator}-"))
    assert reason in found.reason
    assert found.node not in found.reason


def test_a_quantized_model_is_not_said_to_ignore_its_image() -> None:
    with pytest.raises(UnsupportedOperatorError, match="occlusion and rise"):
        differentiated(model_of(QUANTISED), of="y", wrt="x")
