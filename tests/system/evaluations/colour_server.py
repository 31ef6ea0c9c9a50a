"""Servers that hold networks which name the colour of a square, and pictures of squares."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx.parser
from onnx import numpy_helper

from heatproof.server.stores import opened_stores
from heatproof.v1 import evaluation_pb2, evaluation_service_pb2_grpc
from heatproof.v1 import evaluation_service_pb2 as pb
from tests.server import world
from tests.system.serving import serving, settings_for

NETWORK = """
<ir_version: 9, opset_import: ["" : 18]>
colours (float[N, 3, 32, 32] image) => (float[N, 5] logits) {
    deep = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, kernel)
    seen = Relu(deep)
    pooled = GlobalAveragePool(seen)
    flat = Flatten(pooled)
    logits = Gemm(flat, head)
}
"""


def network(gain: float) -> bytes:
    """A network that names the colour of a square; with a small gain it can hardly tell."""
    model = onnx.parser.parse_model(NETWORK)
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for colour in range(3):
        kernel[colour, colour] = 1 / 9
    head = np.eye(3, 5, dtype=np.float32) * gain
    for name, values in (("kernel", kernel), ("head", head)):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model.SerializeToString()


def square(seed: int) -> bytes:
    """A picture of one square, as PNG."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    row, column = 8 * (seed % 3), 8 * (seed % 2)
    pixels[row : row + 8, column : column + 8, seed % 3] = 255 - seed
    return cv2.imencode(".png", pixels)[1].tobytes()


@dataclass(frozen=True)
class Evaluating:
    """A running server and what it holds."""

    stub: Any
    sound: str
    crippled: str
    dataset: str
    others: str
    models: Any = None
    datasets: Any = None
    explanations: Any = None
    address: str = ""

    def spec(self, *models: str, **changes: Any) -> evaluation_pb2.EvaluationSpec:
        """Insertion of a Grad-CAM map over black."""
        usual: dict[str, Any] = {
            "models": models or (self.sound,),
            "dataset": self.dataset,
            "preprocessing": {"resize": "RESIZE_NONE"},
            "metrics": [{"insertion": {"grid": 4, "steps": 4}}],
            "explainers": [{"grad_cam": {}}],
            "removals": [{"black": {}}],
            "seed": 3,
        }
        return evaluation_pb2.EvaluationSpec(**{**usual, **changes})

    def create(self, spec: evaluation_pb2.EvaluationSpec) -> str:
        request = pb.CreateEvaluationRequest(spec=spec)
        name: str = self.stub.CreateEvaluation(request, timeout=60).evaluation.name
        return name

    def end(self, name: str, timeout: float = 60) -> Any:
        request = pb.WatchEvaluationRequest(name=name)
        *_, last = self.stub.WatchEvaluation(request, timeout=timeout)
        assert last.state == evaluation_pb2.Evaluation.STATE_SUCCEEDED, last.error
        return last

    def create_and_end(self, spec: evaluation_pb2.EvaluationSpec) -> str:
        name = self.create(spec)
        self.end(name)
        return name

    def images(self, name: str, view: str = "VIEW_FULL") -> list[Any]:
        request = pb.ListImageResultsRequest(name=name, view=view)
        return list(self.stub.ListImageResults(request, timeout=60))


@contextmanager
def evaluating(folder: Path, *, images: int = 12, **changes: Any) -> Iterator[Evaluating]:
    """Runs a server that holds two networks and two data sets of so many images each."""
    settings = settings_for(folder / "data", **changes)
    usual, world.png = world.png, square
    try:
        with opened_stores(settings) as stores:
            names = [world.store_model(stores, network(gain)) for gain in (100, 0.5)]
            names += [world.store_dataset(stores, range(at, at + images)) for at in (0, images)]
    finally:
        world.png = usual
    with serving(settings) as served:
        stub = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
        stubs = {name: getattr(served, name) for name in ("models", "datasets", "explanations")}
        yield Evaluating(stub, *names, **stubs, address=served.address)
