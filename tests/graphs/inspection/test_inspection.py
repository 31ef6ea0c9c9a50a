from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.gradients import gradient_blockers
from heatproof.graphs.heads.signature import find_class_output, find_image_input
from heatproof.graphs.inspection.inspecting import CamTensor, ValueInfo, inspect
from heatproof.graphs.inspection.work import multiply_adds
from heatproof.graphs.masking import masking_blockers
from heatproof.graphs.preparation import prepared

Parse = Callable[[str], onnx.ModelProto]

NET = """
<ir_version: 10, opset_import: ["" : 18], producer_name: "by hand", producer_version: "2">
g (float[N, 3, 16, 16] image) => (float[N, 5] scores)
<float[8, 3, 3, 3] w, float[8] b, float[8, 1, 3, 3] u, float[5, 8] v>
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w, b)
    r = Relu (c)
    last = Conv <strides = [2, 2], group = 8> (r, u)
    p = GlobalAveragePool (last)
    f = Flatten (p)
    logits = Gemm <transB = 1> (f, v)
    scores = Softmax (logits)
}
"""

PRODUCTS = 256 * 8 * 27 + 49 * 8 * 9 + 40
"""16 x 16 outputs of 8 x 27 products, 7 x 7 outputs of 8 x 9, and the matrix."""


def test_the_facts_of_a_classifier(text_model: Parse) -> None:
    facts = inspect(ir.from_proto(text_model(NET)))
    assert facts.inputs == (ValueInfo("image", "FLOAT", ("N", "3", "16", "16")),)
    assert facts.outputs == (ValueInfo("scores", "FLOAT", ("N", "5")),)
    assert (facts.image_input, facts.layout) == ("image", "nchw")
    assert (facts.class_output, facts.classes) == ("scores", 5)
    assert (facts.logits, facts.activation) == ("logits", "softmax")
    assert (facts.opsets, facts.producer, facts.nodes) == ({"ai.onnx": 18}, "by hand 2", 7)
    assert facts.parameters == 8 * 27 + 8 + 8 * 9 + 5 * 8
    assert facts.multiply_adds == PRODUCTS
    assert facts.cam_tensors == (
        CamTensor("c", 8, 16, 16, is_default=False, field_height=3, field_width=3),
        CamTensor("r", 8, 16, 16, is_default=False, field_height=3, field_width=3),
        CamTensor("last", 8, 7, 7, is_default=True, field_height=5, field_width=5),
    )
    assert (facts.height, facts.width, facts.probed) == (16, 16, False)
    assert facts.layer_masking.supported
    assert facts.gradients.supported


def test_a_model_of_dynamic_size_is_probed(text_model: Parse) -> None:
    model = ir.from_proto(text_model(NET.replace("16, 16]", "H, W]")))
    facts = inspect(model)
    assert facts.inputs[0].shape == ("N", "3", "H", "W")
    assert (facts.height, facts.width, facts.probed) == (224, 224, True)
    assert facts.multiply_adds == 224**2 * 8 * 27 + 111**2 * 8 * 9 + 40
    last = facts.cam_tensors[-1]
    assert (last.name, last.height, last.width, last.is_default) == ("last", 111, 111, True)
    assert facts.layer_masking.supported
    assert facts.gradients.supported


@pytest.mark.parametrize(
    ("node", "weights", "count"),
    [
        ("Conv <group = 2, dilations = [2, 2]>", "float[6, 2, 3, 3] w", 12 * 12 * 6 * 2 * 9),
        ("Conv <strides = [2, 1], pads = [1, 0, 1, 0]>", "float[6, 4, 3, 1] w", 8 * 16 * 6 * 4 * 3),
        ("ConvTranspose <strides = [3, 3]>", "float[4, 5, 2, 2] w", 16 * 16 * 4 * 5 * 4),
        ("MatMul", "float[16, 7] w", 4 * 16 * 16 * 7),
        ("PRelu", "float[4, 1, 1] w", 0),
    ],
)
def test_multiply_adds_are_those_counted_by_hand(
    text_model: Parse, node: str, weights: str, count: int
) -> None:
    operator, _, attributes = node.partition(" ")
    model = text_model(f"""
        <ir_version: 10, opset_import: ["" : 18]> g (float[3, 4, 16, 16] x) => (y)
        <{weights}> {{ y = {operator} {attributes} (x, w) }}""")
    assert multiply_adds(prepared(ir.from_proto(model)), 3) == count


def test_multiply_adds_are_counted_wherever_the_batch_lies(text_model: Parse) -> None:
    model = text_model(
        """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, 2] y)
        <float[4, 3, 2, 2] w, float[4, 6] v, float[6, 2] u, int64[3] s = {0, 4, 16}>
        { c = Conv <strides = [2, 2]> (image, w) r = Reshape (c, s)
          t = Transpose <perm = [2, 0, 1]> (r) m = MatMul (t, v)
          p = ReduceMean <axes = [0], keepdims = 0> (m) y = MatMul (p, u) }""".replace(
            ": 18", ": 17"
        )
    )
    facts = inspect(ir.from_proto(model))
    assert facts.multiply_adds == 16 * 4 * 12 + 16 * 4 * 6 + 6 * 2


def test_multiply_adds_are_counted_behind_a_size_that_only_one_image_settles(
    text_model: Parse,
) -> None:
    """As torch's as_strided, which gathers as many rows as there are images."""
    net = NET.replace(
        "f = Flatten (p)",
        """
        first = Constant <value_int = 0> () one = Constant <value_int = 1> ()
        whole = Shape (image) n = Gather (whole, first) rows = Range (first, n, one)
        picked = Gather <axis = 0> (p, rows) f = Flatten (picked)
        """,
    )
    assert inspect(ir.from_proto(text_model(net))).multiply_adds == PRODUCTS


def test_weights_that_are_listed_as_inputs_are_none(text_model: Parse) -> None:
    model = text_model(NET)
    for weight in model.graph.initializer:
        given = model.graph.input.add(name=weight.name).type.tensor_type
        given.elem_type = weight.data_type
        for size in weight.dims:
            given.shape.dim.add(dim_value=size)
    assert [value.name for value in inspect(ir.from_proto(model)).inputs] == ["image"]


def test_blocking_nodes_are_named(text_model: Parse) -> None:
    text = NET.replace("r = Relu (c)", "r = Bernoulli <dtype = 1> (c)")
    facts = inspect(ir.from_proto(text_model(text)))
    for support in (facts.gradients, facts.layer_masking):
        assert not support.supported
        assert support.blockers[0].operator == "Bernoulli-15"
        assert support.blockers[0].node


def test_a_model_that_is_no_classifier_is_still_described(text_model: Parse) -> None:
    text = (
        '<ir_version: 10, opset_import: ["" : 18]> '
        "g (float[N, 7] x, float[N, 7] z) => (float[N, 7] y, float y2) "
        "{ y = Add (x, z) y2 = ReduceMax (y) }"
    )
    facts = inspect(ir.from_proto(text_model(text)))
    assert (facts.image_input, facts.layout, facts.cam_tensors) == ("", "", ())
    assert not facts.layer_masking.supported
    assert "no image input" in facts.layer_masking.blockers[0].reason


def test_channels_of_a_model_with_open_axes_are_those_of_its_first_weights(
    text_model: Parse,
) -> None:
    model = text_model(NET.replace("[N, 3, 16, 16]", "[N, C, H, W]"))
    image = find_image_input(prepared(ir.from_proto(model)))
    assert (image.channels, image.height, image.width) == (3, None, None)


def test_the_first_suitable_output_holds_the_classes(text_model: Parse) -> None:
    model = text_model(NET.replace("=> (", "=> (float[N, 8, 7, 7] last, "))
    assert find_class_output(prepared(ir.from_proto(model))).name == "scores"


class Small(nn.Module):
    """Batch norms, a residual, squeeze and excitation: what exporters write for CNNs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6())
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU()
        )
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 5))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """From images to logits."""
        x = self.stem(image)
        y = self.body(x)
        z = x + y * self.gate(y)
        pooled: torch.Tensor = self.head(z.mean((2, 3)).view(z.size(0), -1))
        return pooled


def exported(path: Path, *, dynamo: bool) -> Path:
    torch.manual_seed(0)
    network, image = Small().eval(), torch.rand(2, 3, 32, 32)
    if dynamo:
        shapes = {"image": {0: torch.export.Dim("batch")}}
        torch.onnx.export(
            network, (image,), path, dynamo=True, dynamic_shapes=shapes, verbose=False
        )
    else:
        torch.onnx.export(
            network,
            (image,),
            path,
            dynamo=False,
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
        )
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch
@pytest.mark.parametrize("dynamo", [False, True])
def test_what_torch_exports_is_fully_supported(tmp_path: Path, dynamo: bool) -> None:
    path = exported(tmp_path / "small.onnx", dynamo=dynamo)
    data = tmp_path / "small.onnx.data"
    external = {"small.onnx.data": data} if data.exists() else {}
    facts = inspect(load_model(path, external=external))
    assert facts.producer.startswith("pytorch")
    assert (facts.classes, facts.layout, facts.image_input) == (5, "nchw", "image")
    (default,) = (tensor for tensor in facts.cam_tensors if tensor.is_default)
    assert (default.channels, default.height, default.width) == (8, 16, 16)
    assert facts.layer_masking.supported
    assert facts.gradients.supported


LOCKED = """
    <ir_version: 10, opset_import: ["" : 18]>
    g (float[2, 3, 8, 8] image) => (float[2, 4] scores)
    <float[4, 3, 3, 3] w>
    {
        c = Conv (image, w)
        p = GlobalAveragePool (c)
        f = Flatten (p)
        s = Softmax <axis = 0> (f)
        m = ReduceMean <keepdims = 0> (f)
        o = Constant <value = float[2, 4] {1, 1, 1, 1, 1, 1, 1, 1}> ()
        scores = Mul (o, m)
    }
"""


def test_what_canonicalize_refuses_by_structure_is_a_shortcoming(text_model: Parse) -> None:
    model = ir.from_proto(text_model(LOCKED))
    facts = inspect(model)
    assert facts.class_output == "scores"
    with pytest.raises(UnsupportedModelError) as caught:
        canonicalize(model, PRESETS["unit"])
    assert facts.shortcoming == caught.value.message
    free = ir.from_proto(text_model(NET))
    assert inspect(free).shortcoming == ""


def test_a_batch_that_can_be_freed_is_no_shortcoming(text_model: Parse) -> None:
    model = ir.from_proto(text_model(NET.replace("[N, ", "[1, ")))
    assert inspect(model).shortcoming == ""
    canonicalize(model, PRESETS["unit"])


@pytest.mark.parametrize("name", ["keras_resnet", "paddle_lcnet", "paddle_resnet_vd"])
def test_a_prepared_model_has_the_blockers_of_the_model(name: str) -> None:
    model = load_model(Path(__file__).parents[1] / "exporters" / "exported" / f"{name}.onnx")
    plain = prepared(model)
    assert masking_blockers(plain, plain=True) == masking_blockers(model)
    assert gradient_blockers(plain, plain=True) == gradient_blockers(model)
    assert masking_blockers(plain, plain=True) == masking_blockers(plain)  # it is left as it was
