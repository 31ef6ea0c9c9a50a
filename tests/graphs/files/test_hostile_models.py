"""Files that break a schema are refused in our own words, whatever library finds out."""

import time
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidModelError,
    LimitExceededError,
    UnsupportedModelError,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared

PLAIN = """
<ir_version: 9, opset_import: ["" : 18, "house" : 1]>
plain (float[N, 3, 4, 4] image) => (float[N, 3] scores)
{
  c = house.twice (image)
  t = Transpose <perm = [0, 1, 2, 3]> (c)
  g = GlobalMaxPool (t)
  scores = Flatten (g)
}
<opset_import: ["" : 18], domain: "house">
twice (x) => (y)
{
  a = Relu (x)
  y = Add (a, x)
}
"""


def refusal(model: onnx.ModelProto, folder: Path) -> HeatproofError:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(HeatproofError) as caught:
        inspect(load_model(path))
    return caught.value


def test_the_plain_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(PLAIN).SerializeToString())

    assert inspect(load_model(path)).class_output == "scores"


def test_a_reference_to_an_attribute_of_no_function_is_refused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(PLAIN)
    attribute = model.graph.node[1].attribute[0]
    attribute.ClearField("ints")
    attribute.ref_attr_name = "order"

    error = refusal(model, tmp_path)

    assert isinstance(error, InvalidModelError)
    assert "'order' of a function" in error.message


@pytest.mark.parametrize("version", [3, 7, 8])
def test_a_function_that_reads_what_nobody_gives_is_refused(version: int, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(PLAIN)
    model.ir_version = version
    model.functions[0].node[0].input[0] = "nothing"

    assert "'nothing'" in refusal(model, tmp_path).message


@pytest.mark.parametrize("change", ["opset", "inputs", "outputs"])
def test_a_function_that_does_not_fit_its_call_is_refused(tmp_path: Path, change: str) -> None:
    model = onnx.parser.parse_model(PLAIN)
    if change == "opset":
        model.functions[0].opset_import[0].version = 13
    elif change == "inputs":
        model.graph.node[0].input.append("image")
    else:
        model.graph.node[0].output.append("more")

    assert isinstance(refusal(model, tmp_path), InvalidModelError)


@pytest.mark.parametrize(
    ("change", "says"),
    [("again", "house.twice is defined twice"), ("domain", "com.microsoft.twice has the name of")],
)
def test_a_function_that_could_be_mistaken_for_another_is_refused(
    tmp_path: Path, change: str, says: str
) -> None:
    model = onnx.parser.parse_model(PLAIN)
    if change == "again":
        model.functions.add().CopyFrom(model.functions[0])
    else:
        model.functions[0].domain = model.graph.node[0].domain = "com.microsoft"
        model.opset_import[1].domain = "com.microsoft"

    error = refusal(model, tmp_path)

    assert isinstance(error, InvalidModelError)
    assert says in error.message


@pytest.mark.parametrize("key", ["location", "offset"])
def test_external_data_that_say_a_thing_twice_are_refused(tmp_path: Path, key: str) -> None:
    model = onnx.parser.parse_model(PLAIN)
    weight = model.graph.initializer.add(name="w", data_type=1, dims=[4])
    weight.data_location = onnx.TensorProto.EXTERNAL
    for name, value in (("location", "w.bin"), ("offset", "0"), (key, "0")):
        weight.external_data.add(key=name, value=value)

    assert f"says twice what the {key}" in refusal(model, tmp_path).message


def test_texts_of_a_model_are_not_copied_at_every_inference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.parser.parse_model(PLAIN)
    model.metadata_props.add(key="names", value="x" * (1 << 20))
    model.doc_string = "y" * (1 << 20)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    loaded = load_model(path)
    infer, sizes = onnx.shape_inference.infer_shapes, list[int]()

    def measured(proto: onnx.ModelProto, **options: bool) -> onnx.ModelProto:
        sizes.append(proto.ByteSize())
        return infer(proto, **options)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", measured)
    plain = prepared(loaded)

    assert sizes
    assert max(sizes) < 1 << 20
    assert plain.metadata_props == loaded.metadata_props
    assert len(loaded.metadata_props["names"]) == 1 << 20
    assert plain.doc_string == loaded.doc_string == model.doc_string


@pytest.mark.parametrize("axis", [2, 3])
def test_an_input_larger_than_any_preprocessing_is_refused(tmp_path: Path, axis: int) -> None:
    model = onnx.parser.parse_model(PLAIN)
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1 << 31

    error = refusal(model, tmp_path)

    assert isinstance(error, LimitExceededError)
    assert "at most 4096 a side" in error.message


@pytest.mark.parametrize("output", ["table", "image", "ones"])
def test_what_is_not_computed_of_the_image_is_no_class_output(tmp_path: Path, output: str) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 18]>
        g (float[N, 3, 1, 1] image) => (float[N, 3] scores)
        <float[1, 3] table = {0.1, 0.2, 0.3}>
        { scores = Flatten (image) s = Shape (scores) ones = ConstantOfShape (s) }"""
    )
    model.graph.output[0].name = output
    if output == "image":
        model.graph.output[0].CopyFrom(model.graph.input[0])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    loaded = load_model(path)
    assert inspect(loaded).class_output == ""
    with pytest.raises(UnsupportedModelError, match=f"computed of the image, found '{output}'"):
        canonicalize(loaded, PRESETS["unit"])


@pytest.mark.parametrize(
    "node",
    [
        "c = Pad (image, far)",
        "c = Concat <axis = 2> (k23, k23)",
        "p = Tile (image, often) c = Identity (p)",
    ],
)
def test_maps_of_more_cells_than_any_image_has_are_refused(tmp_path: Path, node: str) -> None:
    doubled = " ".join(f"k{i + 1} = Concat <axis = 2> (k{i}, k{i})" for i in range(23))
    model = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[N, 3, 4, 4] image) => (float[N, 3] scores)
        <int64[8] far = {{0, 0, 1099511627776, 0, 0, 0, 0, 0}},
         int64[4] often = {{1, 1, 1, 1099511627776}}>
        {{ k0 = Relu (image) {doubled} {node} g = GlobalMaxPool (c) scores = Flatten (g) }}"""
    )

    error = refusal(model, tmp_path)

    assert isinstance(error, InvalidModelError)
    assert "16777216 a side" in error.message or "at most 1048576" in error.message


def test_a_million_new_axes_are_not_followed(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 18]>
        g (float[N, 3, 4, 4] image) => (float[N, 3] scores) <int64[1] axes = {0}>
        { s = Shape (image) u = Unsqueeze (s, axes) m = ReduceMax <keepdims = 0> (u)
          f = Cast <to = 1> (m) c = Add (image, f) g = GlobalMaxPool (c) scores = Flatten (g) }"""
    )
    axes = numpy_helper.from_array(np.arange(300_000), "axes")
    model.graph.initializer[0].CopyFrom(axes)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    started = time.process_time()
    prepared(load_model(path))
    assert time.process_time() - started < 2


def test_a_batch_of_any_fixed_size_takes_no_memory(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(PLAIN)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 24
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1 << 24
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    started = time.process_time()
    layer_masked(load_model(path))
    assert time.process_time() - started < 2
