"""Sequences and optionals among the ends of a model, and sequences too long to be resolved."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TypeProto

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared
from tests.graphs.exporters.foreign_forms import network

Store = Callable[[onnx.ModelProto | bytes], Path]

TAIL = """ c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c)
    p = GlobalAveragePool (r) f = Flatten (p) z = Gemm <transB = 1> (f, v, b) """
ONE = "one = Constant <value = int64 {1}> () "


def test_a_sequence_of_countless_parts_is_not_unrolled(store: Store) -> None:
    text = (
        "many = Constant <value = int64[1] {16777216}> () zero = Constant <value = int64 {0}> () "
        + ONE
        + "k = ConstantOfShape (many) q = SplitToSequence (k, one) a = SequenceAt (q, zero) "
        "m = ReduceMax <keepdims = 0> (a) scores = Add (z, m)"
    )
    plain = prepared(load_model(store(network(TAIL + text))))
    assert len(plain.graph) < 20


def test_a_sequence_is_no_class_output_and_cannot_be_masked(store: Store) -> None:
    model = network(TAIL + "scores = Identity (z) q = SequenceConstruct (z, z)")
    scores = model.graph.output[0].type.tensor_type
    model.graph.output.add(name="q").type.sequence_type.elem_type.tensor_type.CopyFrom(scores)
    loaded = load_model(store(model))
    facts = inspect(loaded)
    assert facts.class_output == "scores"
    (blocker,) = facts.layer_masking.blockers
    assert "'q' is a Sequence" in blocker.reason
    with pytest.raises(UnsupportedModelError, match="'q' is a Sequence"):
        layer_masked(loaded)


@pytest.mark.parametrize("kind", ["sequence", "optional"])
def test_an_image_comes_as_a_tensor(store: Store, kind: str) -> None:
    getter = {"sequence": "SequenceAt (image, none)", "optional": "OptionalGetElement (image)"}
    text = "none = Constant <value = int64 {0}> () x = " + getter[kind]
    model = network(text + TAIL.replace("(image,", "(x,") + "scores = Identity (z)", opset=18)
    tensor, image = TypeProto(), model.graph.input[0].type
    tensor.CopyFrom(image)
    wrapped = image.sequence_type if kind == "sequence" else image.optional_type
    wrapped.elem_type.CopyFrom(tensor)
    loaded = load_model(store(model))
    assert inspect(loaded).image_input == ""
    with pytest.raises(UnsupportedModelError, match="no image input"):
        canonicalize(loaded, PRESETS["unit"])
