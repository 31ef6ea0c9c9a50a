"""Operators without a rule of their own, through the bodies that ONNX defines for them."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from heatproof.graphs.gradients import GRADIENTS, differentiated
from heatproof.graphs.gradients.composites import BODY_DOMAIN
from heatproof.graphs.operators.rules import Operator

Check = Callable[..., None]
Oracle = Callable[..., torch.Tensor]


def attention(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(x, z, x)


OTHER = {"z": np.random.default_rng(7).standard_normal((2, 6, 4, 5))}
COMPOSITES: list[tuple[str, Oracle, dict[str, np.ndarray], tuple[int, ...]]] = [
    ("Mish (x)", F.mish, {}, (18, 22)),
    ("CastLike (x, z)", lambda x, z: x.to(z.dtype), OTHER, (15, 19, 21, 23, 24, 25)),
    ("Attention (x, z, x)", attention, OTHER, (23, 24, 25)),
    ("SwiGLU (x, z)", lambda x, z: F.silu(x) * z, OTHER, (28,)),
]


@pytest.mark.parametrize(
    ("body", "oracle", "others", "opset"),
    [(*rest, opset) for *rest, opsets in COMPOSITES for opset in opsets],
)
def test_composites_agree_with_autograd(
    check: Check, body: str, oracle: Oracle, others: dict[str, np.ndarray], opset: int
) -> None:
    operator = Operator("", body.partition(" ")[0], opset)
    assert operator not in set(GRADIENTS)
    check(f"y = {body}", oracle, (2, 6, 4, 5), inputs=others, opset=opset, dynamic=False)


def test_the_forward_pass_keeps_the_composite_itself() -> None:
    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 18]> g (float[4] x) => (float[4] y) { y = Mish (x) }'
    )
    result = differentiated(model, of="y", wrt="x")
    forward = next(value for value in result.graph.outputs if value.name == "y").producer()
    assert forward is not None
    assert forward.op_type == "Mish"
    assert BODY_DOMAIN not in {node.domain for node in result.graph}


def test_group_norms_had_parameters_of_groups_at_first(rng: np.random.Generator) -> None:
    """onnx.checker refuses this version of the operator; ONNX Runtime runs it."""
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 18]>'
        "g (float[2, 6, 4, 5] x, float[3] s, float[3] b) => (float[2, 6, 4, 5] y)"
        "{ y = GroupNormalization <num_groups = 3> (x, s, b) }"
    )
    proto = ir.to_proto(differentiated(model, of="y", wrt="x"))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x, v = rng.standard_normal((2, 2, 6, 4, 5)).astype(np.float32)
    s, b = rng.uniform(0.5, 2, (2, 3)).astype(np.float32)
    feeds = {"x": x, "s": s, "b": b, "output_gradient": v}
    (found,) = session.run(["input_gradient"], feeds)
    leaf = torch.tensor(x, requires_grad=True)
    scale, bias = (torch.tensor(values).repeat_interleave(2) for values in (s, b))
    (expected,) = torch.autograd.grad(F.group_norm(leaf, 3, scale, bias), leaf, torch.tensor(v))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)
