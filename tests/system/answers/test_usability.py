"""What a model allows, from the facts of real models and the catalogue."""

import onnx.parser
import pytest

from heatproof.server.api.catalog import catalogue
from heatproof.server.api.usability import usability
from heatproof.v1 import model_pb2
from tests.system.payloads import model_bytes, upload
from tests.system.serving import Served


def stored(
    served: Served, nodes: str, inputs: str = "float[N, 3, 8, 8] image", classes: int = 4
) -> model_pb2.Model:
    kernel = ", ".join(str((i * 37 % 19 - 9) / 10) for i in range(108))
    network = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        net ({inputs}) => (float[N, {classes}] scores)
        <float[4, 3, 3, 3] w = {{{kernel}}}> {{ {nodes} }}""")
    model = served.models.UploadModel(iter(upload(network.SerializeToString())))
    assert isinstance(model, model_pb2.Model)
    return model


def refused(uses: object) -> dict[str, str]:
    return {use.name: use.reason for use in uses if not use.usable}  # type: ignore[attr-defined] # messages


def test_all_of_the_catalogue_is_judged_and_a_plain_network_allows_all(served: Served) -> None:
    found = served.models.UploadModel(iter(upload(model_bytes()))).usability
    for kind in ("metrics", "explainers", "removals"):
        uses = getattr(found, kind)
        assert [use.name for use in uses] == [entry.name for entry in getattr(catalogue(), kind)]
        assert all(use.usable for use in uses)
    besides = {use.name: use.reason for use in found.explainers if use.reason}
    assert besides == {"supplied": "needs maps that come with the images"}


@pytest.fixture
def facts(model: model_pb2.Model) -> model_pb2.ModelFacts:
    """Facts of a plain network, to be spoilt."""
    copy = model_pb2.ModelFacts()
    copy.CopyFrom(model.facts)
    return copy


WITH_GRADIENTS = {
    *("grad_cam", "grad_cam_plus_plus", "gradient_shap", "hires_cam", "input_x_gradient"),
    *("integrated_gradients", "layer_cam", "saliency", "smooth_grad", "var_grad", "xgrad_cam"),
}
RECTIFIED = {"deconvnet", "guided_backprop"}
BLOCKED = model_pb2.Support(
    blockers=[
        model_pb2.Blocker(node="attention", operator="MatMul-13", reason="queries meet keys"),
        model_pb2.Blocker(node="other", operator="Loop-16", reason="control flow"),
    ]
)


def test_without_masking_only_the_layer_operator_falls_away(facts: model_pb2.ModelFacts) -> None:
    facts.layer_masking.CopyFrom(BLOCKED)
    found = usability(facts, catalogue())
    assert refused(found.removals) == {
        "layer": "needs layer masking, which stops at node 'attention', MatMul-13: queries meet "
        "keys (and others)"
    }
    assert not refused(found.metrics)
    assert not refused(found.explainers)


def test_without_gradients_perturbation_remains(facts: model_pb2.ModelFacts) -> None:
    facts.gradients.CopyFrom(BLOCKED)
    facts.activation_gradients.CopyFrom(BLOCKED)
    facts.rectified_gradients.CopyFrom(BLOCKED)
    found = usability(facts, catalogue())
    lost = refused(found.explainers)
    assert set(lost) == WITH_GRADIENTS | RECTIFIED
    assert all("which stops at node " in reason for reason in lost.values())
    assert "needs gradients by an activation" in lost["grad_cam"]
    assert set(refused(found.metrics)) == {"explanation_consistency"}
    assert set(refused(found.removals)) == {"adversarial"}


def test_a_network_without_rectifiers_names_its_activations(served: Served) -> None:
    nodes = """c = Conv <pads = [1, 1, 1, 1]> (image, w) s = HardSwish (c)
               p = GlobalAveragePool (s) scores = Flatten (p)"""
    model = stored(served, nodes)
    lost = refused(model.usability.explainers)
    assert set(lost) == RECTIFIED
    assert all("its activations are HardSwish" in reason for reason in lost.values())
    assert model.facts.gradients.supported
    assert not model.facts.rectified_gradients.supported


def test_a_model_that_is_no_classifier_allows_nothing_and_says_why(served: Served) -> None:
    model = stored(served, "scores = Relu (image)", "float[N, 7] image", 7)
    for kind in ("metrics", "explainers", "removals"):
        reasons = {use.reason for use in getattr(model.usability, kind)}
        assert reasons == {"the model has no image input"}


def test_without_a_last_map_grad_cam_needs_its_tensor(served: Served) -> None:
    model = stored(served, "scores = Flatten (image)", classes=192)
    besides = {use.name: use.reason for use in model.usability.explainers}
    assert "needs its parameter tensor" in besides["grad_cam"]
    assert besides["saliency"] == ""
