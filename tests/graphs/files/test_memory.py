"""What loading, masking and saving takes at its peak, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from heatproof.graphs.files.loading import load_model
from heatproof.graphs.files.saving import save_model

MEBIBYTE = 1 << 20
LAYERS, CHANNELS = 24, 1024  # 4 MiB a layer

SCRIPT = r"""
import re, sys
from pathlib import Path
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.files.saving import save_model

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

source, target, *external = map(Path, sys.argv[1:])
start = peak()
model = load_model(source, external={path.name: path for path in external})
save_model(layer_masked(model), target)
print(peak() - start)
"""


def large(folder: Path, *, external: bool) -> list[Path]:
    """A model of 1 x 1 convolutions, and the file of its weights if they lie outside."""
    convolutions = " ".join(f"x{i + 1} = Conv (x{i}, w{i})" for i in range(LAYERS))
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, {CHANNELS}] scores)
        {{ x0 = Conv (image, stem) {convolutions}
           p = GlobalAveragePool (x{LAYERS}) scores = Flatten (p) }}""")
    shapes = {"stem": (CHANNELS, 3, 1, 1)}
    shapes |= {f"w{i}": (CHANNELS, CHANNELS, 1, 1) for i in range(LAYERS)}
    for name, shape in shapes.items():
        weights = np.full(shape, 1 / 1024, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=external, location="weights.bin")
    return [path, *([folder / "weights.bin"] if external else [])]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("external", "most"), [(False, 3.0), (True, 0.5)])
def test_the_peak_is_a_small_multiple_of_the_model(
    tmp_path: Path, *, external: bool, most: float
) -> None:
    source, *data = large(tmp_path, external=external)
    target = tmp_path / "masked.onnx"
    command: list[str | Path] = [sys.executable, "-c", SCRIPT, source, target, *data]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    size = LAYERS * 4 * MEBIBYTE
    assert target.stat().st_size > size
    # Twice while parsed and copied, or only mapped; the rest is for allocators and the graph.
    assert int(done.stdout) < most * size


def test_external_weights_go_to_external_weights(tmp_path: Path) -> None:
    source, data = large(tmp_path, external=True)
    model = load_model(source, external={data.name: data})
    target = tmp_path / "out.onnx"
    save_model(model, target, max_embedded=MEBIBYTE)
    locations = {
        entry.value
        for tensor in onnx.load(target, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {"out.onnx.data"}
    assert target.stat().st_size < MEBIBYTE
    saved = load_model(target, external={"out.onnx.data": tmp_path / "out.onnx.data"})
    weights = saved.graph.initializers["w7"].const_value
    assert weights is not None
    np.testing.assert_array_equal(weights.numpy(), np.float32(1 / 1024))
