"""What was written is checked: faults are planted in files that are whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import ModelProto, numpy_helper

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.files.saving import save_model
from heatproof.graphs.files.skeletons import skeleton_of
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.runtime.verification import AFFORDABLE_BYTES, verify_file
from tests.graphs.exporters.foreign_forms import FORMS

Fault = Callable[[ModelProto], object]
WEIGHT = (400, 3, 3, 3)
everywhere = pytest.mark.parametrize("affordable", [AFFORDABLE_BYTES, 0], ids=["whole", "skeleton"])


@pytest.fixture
def model() -> ModelProto:
    """A network with weights inside that are written apart, and such that are not."""
    proto = FORMS["plain"]()
    weights = np.random.default_rng(0).standard_normal(WEIGHT).astype(np.float32)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    dense = np.random.default_rng(1).standard_normal((5, 400)).astype(np.float32)
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(dense, "v"))
    return proto


def faults() -> dict[str, Fault]:
    def rename(field: str, place: int, name: str) -> Fault:
        return lambda m: setattr(getattr(m.graph, field)[place], "name", name)

    return {
        "a large weight without a name": rename("initializer", 0, ""),
        "a small weight without a name": rename("initializer", 2, ""),
        "two weights of one name": rename("initializer", 0, "v"),
        "an output that nothing computes": rename("output", 0, "nothing"),
        "an operand that nothing computes": lambda m: m.graph.node[1].input.__setitem__(0, "none"),
        "a value computed twice": lambda m: m.graph.node[1].output.__setitem__(0, "c"),
        "nodes out of order": lambda m: m.graph.node.sort(key=lambda node: node.op_type),
        "an operator that does not exist": lambda m: setattr(m.graph.node[1], "op_type", "Rely"),
        "operands of the wrong shape": lambda m: m.graph.initializer[0].dims.__setitem__(
            slice(None), [300, 12, 3]
        ),
        "operands of different types": lambda m: m.graph.node[1].CopyFrom(cast_to_double()),
        "no imports": lambda m: m.ClearField("opset_import"),
    }


def cast_to_double() -> onnx.NodeProto:
    node = onnx.NodeProto(op_type="Cast", input=["c"], output=["r"])
    node.attribute.add(name="to", type=onnx.AttributeProto.INT, i=onnx.TensorProto.DOUBLE)
    return node


@everywhere
@pytest.mark.parametrize("fault", list(faults()))
def test_a_planted_fault_is_found_and_its_file_is_gone(
    tmp_path: Path, model: ModelProto, fault: str, affordable: int
) -> None:
    faults()[fault](model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="not handed out") as refusal:
        verify_file(path, affordable=affordable)
    assert str(tmp_path) not in refusal.value.message
    assert "onnxruntime_src" not in refusal.value.message
    assert not path.exists()


@everywhere
@pytest.mark.parametrize("most", [0, 1 << 30], ids=["weights outside", "weights inside"])
@pytest.mark.parametrize("rewrite", [layer_masked, differentiated])
def test_what_is_whole_is_accepted(
    tmp_path: Path,
    model: ModelProto,
    rewrite: Callable[[ir.Model], ir.Model],
    most: int,
    affordable: int,
) -> None:
    path = tmp_path / "model.onnx"
    save_model(rewrite(ir.from_proto(model)), path, max_embedded=most)
    verify_file(path, affordable=affordable)
    assert path.exists()


def test_a_skeleton_is_the_file_but_for_its_large_weights(
    tmp_path: Path, model: ModelProto
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    skeleton = skeleton_of(path)
    lent = {value.name: value for value in skeleton.graph.input if value.name != "image"}
    assert sorted(lent) == ["v", "w"]
    assert [size.dim_value for size in lent["w"].type.tensor_type.shape.dim] == list(WEIGHT)
    del skeleton.graph.input[1:]
    for tensor in list(model.graph.initializer):
        if tensor.name in lent:
            model.graph.initializer.remove(tensor)
    assert skeleton == model
