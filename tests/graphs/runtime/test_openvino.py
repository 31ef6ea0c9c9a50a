"""Networks in OpenVINO: the same answers, whatever runs beside; faults told; passes stopped."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import (
    CancelledError,
    FailedPreconditionError,
    InvalidModelError,
)
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.runtime import sessions
from heatproof.graphs.runtime.backends import openvino_networks
from heatproof.graphs.runtime.backends.openvino_networks import (
    native_properties,
    open_in_openvino,
)
from heatproof.graphs.runtime.backends.providers import Provider
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import Session, SessionCache, open_session
from tests.graphs.conftest import parse
from tests.graphs.gradients.test_networks import NETWORKS, SIZE, exported
from tests.graphs.runtime.test_runtime import NET, UNIT

SETTINGS = SessionSettings(provider=Provider.OPENVINO, side_by_side=2)
ROWS = 8
"""More than a pass has that is compared to."""

IMAGES = np.random.default_rng(0).random((ROWS, 3, 16, 16), np.float32)


def net() -> ir.Model:
    return canonicalize(ir.from_proto(parse(NET)), UNIT).model


def test_neither_rows_beside_nor_their_number_nor_threads_change_a_bit() -> None:
    session = open_session(net(), SETTINGS)

    def scores(images: np.ndarray) -> np.ndarray:
        return session.run({"image": images}, ["scores"], Cancellation(), len(images))[0]

    expected = scores(IMAGES)
    for first in range(0, ROWS, 2):
        assert scores(IMAGES[first : first + 2]).tobytes() == expected[first : first + 2].tobytes()
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(scores, [IMAGES] * 16):
            assert found.tobytes() == expected.tobytes()


def test_every_run_beside_others_has_a_stream_and_its_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, object]] = []

    def opening(model: ir.Model, settings: SessionSettings) -> Session:
        properties = native_properties(settings)
        asked.append((properties["NUM_STREAMS"], properties["INFERENCE_NUM_THREADS"]))
        return open_session(model, settings)

    monkeypatch.setattr(sessions, "open_session", opening)
    cache = SessionCache(1 << 30, SessionSettings(threads=4, provider=Provider.OPENVINO))
    cache.get("beside others", net, threads=1)
    cache.get("alone", net)
    assert asked == [(4, 4), (1, 4)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["plain", "layer-masked", "gradient"])
def test_every_family_is_what_onnx_runtime_says(name: str, kind: str) -> None:
    plain = exported(name)
    made = {
        "plain": lambda: plain,
        "layer-masked": lambda: layer_masked(plain),
        "gradient": lambda: differentiated(plain, of="logits", wrt="image"),
    }[kind]()
    random = np.random.default_rng(1)
    feeds = {
        "image": random.random((2, 3, SIZE, SIZE), np.float32),
        "mask": (random.random((2, 1, SIZE, SIZE)) < 0.6).astype(np.float32),
        "output_gradient": random.random((2, 5), np.float32),
    }
    given = {str(value.name): feeds[str(value.name)] for value in made.graph.inputs}
    found, expected = (
        open_session(made, SessionSettings(provider=provider))
        for provider in (Provider.OPENVINO, Provider.CPU)
    )
    for name_of_output in expected.outputs:
        (mine,) = found.run(given, [name_of_output], Cancellation(), 2)
        (theirs,) = expected.run(given, [name_of_output], Cancellation(), 2)
        assert np.linalg.norm(mine - theirs) <= 1e-5 * np.linalg.norm(theirs)


LONG = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 64, 256, 256] image) => (float[N, 64, 256, 256] y)
<float[64, 64, 7, 7] w>
{ LAYERS }
"""


def long_network(layers: int) -> ir.Model:
    """Takes long enough to be stopped."""
    names = ["image", *(f"h{index}" for index in range(1, layers)), "y"]
    text = "\n".join(
        f"{after} = Conv <pads = [3, 3, 3, 3]> ({before}, w)" for before, after in pairwise(names)
    )
    return ir.from_proto(parse(LONG.replace("LAYERS", text)))


class Begun(Cancellation):
    """Tells when a pass can be stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    @contextmanager
    def run(self, stop: Callable[[], object]) -> Iterator[None]:
        with super().run(stop):
            self.begun.set()
            yield


def test_a_pass_is_stopped_while_it_runs_and_the_session_goes_on() -> None:
    network = open_in_openvino(long_network(12), SETTINGS)
    image = np.zeros((2, 64, 256, 256), np.float32)
    cancellation = Begun()

    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(network.run, {"image": image}, ["y"], cancellation)
        assert cancellation.begun.wait(20)
        cancellation.cancel()
        with pytest.raises(CancelledError):
            pending.result(60)
    with pytest.raises(CancelledError):
        network.run({"image": image}, ["y"], cancellation)


def test_a_pass_that_fails_says_so_and_the_next_one_is_answered() -> None:
    network = open_in_openvino(net(), SETTINGS)
    with pytest.raises(InvalidModelError, match="check the model with openvino"):
        network.run({"image": IMAGES[:, :2]}, ["scores"], Cancellation())
    assert network.run({"image": IMAGES}, ["scores"], Cancellation())[0].shape == (ROWS, 5)


UNKNOWN = """
<ir_version: 10, opset_import: ["" : 18, "com.example" : 1]>
g (float[N, 3, 4, 4] image) => (float[N, 3, 4, 4] y)
{ y = com.example.Nothing (image) }
"""


def test_what_openvino_lacks_is_refused_with_a_way_out() -> None:
    with pytest.raises(FailedPreconditionError, match=r"Nothing.* provider cpu") as caught:
        open_in_openvino(ir.from_proto(parse(UNKNOWN)), SETTINGS)
    assert caught.value.field == "provider"
    assert "src/" not in str(caught.value)


COSTLY = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 4, 4] image) => (float[N, 3, 4, 4] y)
<int64[1] sides = {300000000}>
{
    many = ConstantOfShape (sides)
    sum = ReduceSum <keepdims = 0> (many)
    y = Add (image, sum)
}
"""


def test_constants_that_cost_too_much_are_not_folded_but_refused() -> None:
    with pytest.raises(FailedPreconditionError, match="constants cost too much"):
        open_in_openvino(ir.from_proto(parse(COSTLY)), SETTINGS)


def test_weights_beyond_a_message_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_networks, "MOST_WEIGHT_BYTES", 1)
    with pytest.raises(FailedPreconditionError, match=r"weights are above 1\.8 GB"):
        open_in_openvino(net(), SETTINGS)
