import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch

from tests.graphs.networks import NETWORKS, SIZE, Array, built, exported, keep_boxes
from tests.graphs.sessions import Run, opened

TINY = """
<ir_version: 10, opset_import: ["" : 18]>
tiny (float[N, 3, 8, 8] image) => (float[N, 5] scores)
<float[4, 3, 3, 3] w, float[5, 4] v, float[5] b>
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v, b)
}
"""
_WEIGHTS = re.compile(r"(float16|float)\[([\d, ]+)\] (\w+)(?=\s*[,>])")


def parse(text: str) -> onnx.ModelProto:
    """Parses ONNX text in which `float[4, 3] w` among the initializers means normal weights."""
    signature, arrow, rest = text.partition("=>")
    halves = {name for dtype, _, name in _WEIGHTS.findall(rest) if dtype == "float16"}
    model = onnx.parser.parse_model(signature + arrow + _WEIGHTS.sub(_filled, rest))
    for tensor in model.graph.initializer:
        if tensor.name in halves:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return model


def _filled(declaration: re.Match[str]) -> str:
    shape = [int(size) for size in declaration[2].split(",")]
    weights = np.random.default_rng([len(declaration[3]), *shape]).normal(size=shape)
    numbers = ", ".join(f"{weight:.6f}" for weight in weights.reshape(-1))
    return f"float[{declaration[2]}] {declaration[3]} = {{{numbers}}}"


@pytest.fixture(scope="session")
def text_model() -> Callable[[str], onnx.ModelProto]:
    """The parser of this folder's models."""
    return parse


@pytest.fixture
def tiny() -> onnx.ModelProto:
    return parse(TINY)


@pytest.fixture
def store(tmp_path: Path) -> Callable[[onnx.ModelProto | bytes], Path]:
    """Writes a model or bytes to a file."""

    def write(model: onnx.ModelProto | bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    return write


def torch_export(
    network: torch.nn.Module,
    size: int,
    *,
    dynamo: bool = False,
    opset: int = 18,
    batch: int | None = None,
    folded: bool = True,
    dtype: torch.dtype = torch.float32,
) -> ir.Model:
    """A torch module as ONNX: input `image`, output `logits`; the batch is open unless given."""
    options: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    if dynamo:
        options["optimize"] = folded
    elif not folded:
        options |= {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    if batch is None and dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("n")},)
    elif batch is None:
        options["dynamic_axes"] = {"image": {0: "n"}, "logits": {0: "n"}}
    image = torch.zeros(batch or 2, 3, size, size, dtype=dtype)
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            network.eval(), (image,), target, dynamo=dynamo, opset_version=opset, verbose=False,
            **options,
        )  # fmt: skip
    return ir.from_proto(onnx.load_from_string(target.getvalue()))


@pytest.fixture(scope="session")
def torch_model() -> Callable[..., ir.Model]:
    """The exporter of this folder's torch modules."""
    return torch_export


@pytest.fixture(scope="session")
def load() -> Callable[..., Run]:
    """Checks a model and opens it in ONNX Runtime; feeds are keyword arguments."""
    return opened


@pytest.fixture(scope="session")
def networks() -> dict[str, ir.Model]:
    """Every small network, exported."""
    return {name: exported(built(make)) for name, make in NETWORKS.items()}


@pytest.fixture(scope="session")
def export() -> Callable[..., ir.Model]:
    """Exports a torch module, or one of `NETWORKS` by name."""

    def model(network: torch.nn.Module | str, size: int = SIZE, **options: Any) -> ir.Model:
        if isinstance(network, str):
            network = built(NETWORKS[network], size)
        return exported(network, size, **options)

    return model


@pytest.fixture
def feeds() -> dict[str, Array]:
    """Two images, of which small boxes are visible."""
    image = np.random.default_rng(0).standard_normal((2, 3, SIZE, SIZE)).astype(np.float32)
    return {"image": image, "mask": keep_boxes()}
