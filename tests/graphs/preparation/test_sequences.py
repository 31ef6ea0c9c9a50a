"""What goes through sequences of tensors is masked and differentiated as tensors are."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared

Array = NDArray[Any]

FORMS = {
    "chunks": "s = SplitToSequence <axis = 1> (image, two) a = SequenceAt (s, zero) "
    "b = SequenceAt (s, last) c = Relu (b) y = Concat <axis = 1> (a, c)",
    "equal chunks": "s = SplitToSequence <axis = -1> (image, three) a = SequenceAt (s, last) "
    "b = SequenceAt (s, zero) y = Concat <axis = 3> (a, b)",
    "given sizes": "s = SplitToSequence <axis = -3> (image, sizes) a = SequenceAt (s, one) "
    "b = SequenceAt (s, zero) y = Concat <axis = 1> (a, b)",
    "ones": "s = SplitToSequence <axis = 1> (image) y = ConcatFromSequence <axis = 1> (s)",
    "unbound": "s = SplitToSequence <axis = 1, keepdims = 0> (image) "
    "y = ConcatFromSequence <axis = 1, new_axis = 1> (s)",
    "a list": "c = Relu (image) s = SequenceConstruct (image, c) a = SequenceAt (s, last) "
    "b = SequenceAt (s, zero) y = Sub (a, b)",
    "a list that grows": "c = Relu (image) e = SequenceEmpty () s = SequenceInsert (e, image) "
    "t = SequenceInsert (s, c) u = SequenceInsert (t, c, zero) v = SequenceErase (u, one) "
    "y = ConcatFromSequence <axis = 1> (v)",
    "its length": "s = SequenceConstruct (image, image) k = SequenceLength (s) "
    "f = Cast <to = 1> (k) y = Mul (image, f)",
}


def model(form: str, opset: int, logits: str = "") -> ir.Model:
    output = "float[n, c] z" if logits else "float[n, c, 6, 6] y"
    text = f"""<ir_version: 9, opset_import: ["": {opset}]>
        g (float[n, 3, 6, 6] image) => ({output})
        <int64 zero = {{0}}, int64 one = {{1}}, int64 last = {{-1}}, int64 two = {{2}},
         int64 three = {{3}}, int64[2] sizes = {{1, 2}}> {{ {FORMS[form]} {logits} }}"""
    return ir.from_onnx_text(text)


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("form", FORMS)
def test_known_sequences_become_tensors(form: str, opset: int) -> None:
    given = model(form, opset)
    plain = prepared(given)
    assert not [node for node in plain.graph if "Sequence" in node.op_type]
    onnx.checker.check_model(ir.to_proto(plain), full_check=True)
    image = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
    np.testing.assert_array_equal(answer(plain, image), answer(given, image))


@pytest.mark.parametrize("form", ["chunks", "a list that grows"])
def test_both_rewrites_see_tensors_only(form: str) -> None:
    for rewrite in (layer_masked, differentiated):
        proto = ir.to_proto(rewrite(model(form, 17, "m = GlobalAveragePool (y) z = Flatten (m)")))
        onnx.checker.check_model(proto, full_check=True)
        ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "form",
    [
        "s = SplitToSequence <axis = 0> (image, two) y = SequenceAt (s, zero)",  # an open batch
        "s = SplitToSequence <axis = 1> (image, sizes) y = SequenceAt (s, two)",  # none there
        "s = SplitToSequence <axis = 1> (image, wrong) y = SequenceAt (s, zero)",
        "s = SequenceEmpty () y = SequenceAt (s, zero)",
        "s = SequenceEmpty () t = SequenceErase (s) y = ConcatFromSequence <axis = 1> (t)",
    ],
)
def test_what_is_not_known_stays(form: str) -> None:
    given = ir.from_onnx_text(f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[n, 3, 6, 6] image) => (float[n, c, h, w] y)
        <int64 zero = {{0}}, int64 two = {{2}}, int64[2] sizes = {{1, 2}},
         int64[2] wrong = {{1, 3}}> {{ {form} }}""")
    kinds = [node.op_type for node in prepared(given).graph]
    assert any("Sequence" in kind for kind in kinds)


def answer(graph: ir.Model, image: Array) -> Array:
    content = ir.to_proto(graph).SerializeToString()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"image": image})[0])
