"""What a model allows, from the facts of real models and the catalogue."""

import onnx.parser
from payloads import model_bytes, upload
from serving import Served

from heatproof.server.catalogue import catalogue
from heatproof.v1 import model_pb2

CONVOLUTION = "c = Conv (image, w) "
ENDING = "p = GlobalAveragePool (c) scores = Flatten (p)"


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
    usability = served.models.UploadModel(iter(upload(model_bytes()))).usability
    for kind in ("metrics", "explainers", "removals"):
        uses = getattr(usability, kind)
        assert [use.name for use in uses] == [entry.name for entry in getattr(catalogue(), kind)]
        assert all(use.usable for use in uses)
    besides = {use.name: use.reason for use in usability.explainers if use.reason}
    assert besides == {"supplied": "needs maps that come with the images"}


def test_without_masking_only_the_layer_operator_falls_away(served: Served) -> None:
    # Positions that depend on each other, as in attention.
    mixed = "r = Relu (c) q = Hardmax <axis = 3> (r) s = Mul (r, q) "
    model = stored(served, CONVOLUTION + mixed + ENDING.replace("(c)", "(s)"))
    assert model.facts.layer_masking.blockers[0].operator == "Hardmax-13"
    (reason,) = refused(model.usability.removals).values()
    assert set(refused(model.usability.removals)) == {"layer"}
    assert "needs layer masking, which stops at node " in reason
    assert "Hardmax-13: " in reason
    assert not refused(model.usability.metrics)


def test_without_gradients_perturbation_remains(served: Served) -> None:
    model = stored(
        served,
        CONVOLUTION
        + "q = RandomUniformLike <dtype = 1> (c) m = Mul (c, q) "
        + ENDING.replace("(c)", "(m)"),
    )
    found = refused(model.usability.explainers)
    assert set(found) == {"grad_cam", "integrated_gradients", "saliency"}
    assert all("needs gradients, which stops at node " in reason for reason in found.values())
    assert set(refused(model.usability.metrics)) == {"explanation_consistency"}


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
