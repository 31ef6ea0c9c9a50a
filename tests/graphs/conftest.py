from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest

W = ", ".join(str((i * 37 % 19 - 9) / 10) for i in range(108))
V = ", ".join(str((i * 13 % 11 - 5) / 5) for i in range(20))
TINY = f"""
<ir_version: 10, opset_import: ["" : 18]>
tiny (float[N, 3, 8, 8] image) => (float[N, 5] scores)
<float[4, 3, 3, 3] w = {{{W}}}, float[5, 4] v = {{{V}}}, float[5] b = {{0.1, 0.2, 0.3, 0.4, 0.5}}>
{{
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v, b)
}}
"""


def parse(text: str) -> onnx.ModelProto:
    """A model from ONNX text."""
    return onnx.parser.parse_model(text)


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
