"""Files that break a schema are refused in our own words, whatever library finds out."""

from pathlib import Path

import onnx
import onnx.parser
import pytest

from heatproof.evaluators.errors import HeatproofError, InvalidModelError, LimitExceededError
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.inspection.inspecting import inspect

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


@pytest.mark.parametrize("axis", [2, 3])
def test_an_input_larger_than_any_preprocessing_is_refused(tmp_path: Path, axis: int) -> None:
    model = onnx.parser.parse_model(PLAIN)
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1 << 31

    error = refusal(model, tmp_path)

    assert isinstance(error, LimitExceededError)
    assert "at most 4096 a side" in error.message
