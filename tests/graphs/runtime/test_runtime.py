"""Sessions, cancellation and the predictor over ONNX Runtime."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from heatproof.evaluators.errors import (
    CancelledError,
    InvalidModelError,
    UnknownNameError,
    UnsupportedOperatorError,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.passes import IMAGE, ModelPass, Weights
from heatproof.evaluators.queries.predictor import Batch, Predictor
from heatproof.evaluators.removal import Masking, Mode
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime import memory
from heatproof.graphs.runtime.backends.onnxruntime_networks import native_options
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import (
    MAX_PASSING,
    SessionCache,
    SessionSettings,
    open_session,
)
from tests.graphs.passes import gradients, logits, masked

Parse = Callable[[str], onnx.ModelProto]

NET = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 16, 16] image) => (float[N, 5] scores)
<float[8, 3, 3, 3] w, float[8, 8, 3, 3] u, float[5, 8] v>
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    r = Relu (c)
    d = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (r, u)
    last = Relu (d)
    p = GlobalAveragePool (last)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}
"""
SLOW = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 16, 16] image) => (float[N, 3] scores)
<int64 rounds = {1000000000}, bool on = {1}>
{
    looped = Loop (rounds, on, image) <body = b (int64 i, bool a, float[N, 3, 16, 16] x) =>
        (bool again, float[N, 3, 16, 16] y) { again = Identity (a) y = Sin (x) }>
    p = GlobalAveragePool (looped)
    scores = Flatten (p)
}
"""
UNIT = PRESETS["unit"]
SETTINGS = SessionSettings(threads=2, log_severity=2)


def images(rows: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(11).random((rows, 3, 16, 16), np.float32)


def predictor(
    model: onnx.ModelProto,
    *,
    settings: SessionSettings = SETTINGS,
    cancellation: Cancellation | None = None,
    sessions: SessionCache | None = None,
) -> GraphPredictor:
    return GraphPredictor(
        canonicalize(ir.from_proto(model), UNIT),
        sessions or SessionCache(1 << 30, settings),
        model="models/sha256-00",
        batch_size=4,
        cancellation=cancellation or Cancellation(),
    )


def test_it_is_a_predictor(text_model: Parse) -> None:
    built: Predictor = predictor(text_model(NET))
    facts = built.facts
    assert (facts.height, facts.width, facts.classes, facts.batch_size) == (16, 16, 5, 4)
    assert (facts.probabilities, facts.cam_tensor) == ("softmax", "last")
    for run in (
        ModelPass(facts.model, masking=Masking(Mode.STRICT)),
        ModelPass(facts.model, wrt=IMAGE),
        ModelPass(facts.model, wrt="last", taps=("c",), gate="c"),
        ModelPass(facts.model, Weights(facts.layers, 1)),
    ):
        assert facts.supports(run) is None


def test_plain_logits_are_those_of_bare_onnx_runtime(text_model: Parse) -> None:
    model = text_model(NET)
    bare = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = bare.run(None, {"image": images()})[0]
    # The same kernels on the same weights; only the number of threads differs.
    np.testing.assert_allclose(logits(predictor(model), images()), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["reference", "strict"])
def test_a_mask_of_ones_hides_nothing(text_model: Parse, mode: str) -> None:
    built = predictor(text_model(NET))
    seen = masked(built, images(), np.ones((4, 16, 16), bool), mode)
    np.testing.assert_allclose(seen.logits, logits(built, images()), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(seen.coverage, np.ones(4, np.float32))


def test_what_a_mask_hides_does_not_matter(text_model: Parse) -> None:
    built = predictor(text_model(NET))
    masks = np.zeros((4, 16, 16), bool)
    masks[:, 4:12, 2:9] = True
    garbage = np.where(masks[:, np.newaxis], images(), np.float32(1e6))
    clean = masked(built, images(), masks, "reference")
    np.testing.assert_array_equal(masked(built, garbage, masks, "reference").logits, clean.logits)
    assert np.all((clean.coverage > 0) & (clean.coverage < 1))


@pytest.mark.parametrize("tensor", ["", "c"])
def test_gradients_are_those_of_torch(text_model: Parse, tensor: str) -> None:
    model = text_model(NET)
    weights = {
        stored.name: torch.tensor(onnx.numpy_helper.to_array(stored))
        for stored in model.graph.initializer
    }
    seed = np.eye(5, dtype=np.float32)[[0, 1, 2, 4]] * np.float32(3)
    found = gradients(predictor(model), images(), seed, tensor)
    x = torch.tensor(images(), requires_grad=True)
    c = torch.nn.functional.conv2d(x, weights["w"], padding=1)
    d = torch.nn.functional.conv2d(c.relu(), weights["u"], padding=1, stride=2)
    scores = d.relu().mean((2, 3)) @ weights["v"].T
    wrt = c if tensor else x
    (expected,) = torch.autograd.grad(scores, wrt, torch.tensor(seed))
    # Sums of up to 72 products in float32, in another order.
    np.testing.assert_allclose(found.gradients, expected.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.activations, wrt.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.logits, scores.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_class_activation_gradients_are_those_of_the_head(text_model: Parse) -> None:
    model = text_model(NET)
    weights = next(onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "v")
    seed = np.eye(5, dtype=np.float32)[[0, 3, 1, 1]]
    found = gradients(predictor(model), images(), seed, "last")
    # scores = v mean(last): d scores_c / d last = v_c / (8 * 8), exactly representable divisor.
    expected = np.broadcast_to((seed @ weights)[:, :, np.newaxis, np.newaxis] / 64, (4, 8, 8, 8))
    np.testing.assert_allclose(found.gradients, expected, rtol=1e-6)


def test_an_unknown_tensor_is_refused_by_name(text_model: Parse) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'last'"):
        gradients(predictor(text_model(NET)), images(), np.ones((4, 5), np.float32), "lst")


def test_a_model_that_cannot_be_masked_says_why_and_still_predicts(text_model: Parse) -> None:
    built = predictor(
        text_model(
            NET.replace("r = Relu (c)", "r = CumSum (c, axis)").replace(
                "float[5, 8] v>", "float[5, 8] v, int64 axis = {2}>"
            )
        )
    )
    assert logits(built, images()).shape == (4, 5)
    shortfall = built.facts.supports(ModelPass("models/sha256-00", masking=Masking()))
    assert shortfall is not None
    assert "CumSum-14" in shortfall.reason
    with pytest.raises(UnsupportedOperatorError, match="CumSum-14"):
        masked(built, images(), np.ones((4, 16, 16), bool), "reference")


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_rows_give_equal_bits_for_any_number_of_threads(
    text_model: Parse, threads: int
) -> None:
    model, masks, seed = text_model(NET), images()[:, 0] > 0.4, np.ones((4, 5), np.float32)
    one = predictor(model, settings=SessionSettings(threads=1))
    other = predictor(model, settings=SessionSettings(threads=threads))
    calls: list[Callable[[GraphPredictor], NDArray[np.float32]]] = [
        lambda built: logits(built, images()),
        lambda built: masked(built, images(), masks, "strict").logits,
        lambda built: gradients(built, images(), seed, "").gradients,
    ]
    for call in calls:
        assert call(one).tobytes() == call(other).tobytes()


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("axes", [(1,), (1, 2), (-3,)])
@pytest.mark.parametrize("sum_of", ["ReduceSum", "ReduceMean"])
def test_sums_over_channels_do_not_depend_on_the_threads(
    text_model: Parse, sum_of: str, axes: tuple[int, ...], kept: int
) -> None:
    rank = 4 if kept else 4 - len(axes)
    model = ir.from_proto(
        text_model(f"""
            <ir_version: 10, opset_import: ["" : 18]>
            g (float[N, 64, 57, 29] x) => (float[{", ".join("abcd"[:rank])}] y)
            <int64[{len(axes)}] axes = {{{", ".join(map(str, axes))}}}>
            {{ y = {sum_of} <keepdims = {kept}> (x, axes) }}""")
    )
    x = np.random.default_rng(2).normal(size=(2, 64, 57, 29)).astype(np.float32)
    found = [
        open_session(model, SessionSettings(threads)).run({"x": x}, ["y"], Cancellation(), len(x))[
            0
        ]
        for threads in (1, 3, 4)
    ]
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
    oracle = np.sum if sum_of == "ReduceSum" else np.mean
    expected = oracle(x, axis=axes, keepdims=bool(kept), dtype=np.float64)
    # Sums of up to 3648 standard normal numbers in float32, one after the other.
    np.testing.assert_allclose(found[0], expected, atol=1e-3)


def test_cancellation_stops_a_run_midway(text_model: Parse) -> None:
    cancellation = Cancellation()
    built = predictor(text_model(SLOW), cancellation=cancellation)
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        logits(built, images())
    timer.join()


def test_nothing_starts_after_a_cancellation(text_model: Parse) -> None:
    cancellation = Cancellation()
    built = predictor(text_model(NET), cancellation=cancellation)
    logits(built, images())
    cancellation.cancel()
    cancellation.cancel()
    with pytest.raises(CancelledError):
        logits(built, images())


def test_one_cancellation_leaves_others_alone(text_model: Parse) -> None:
    sessions = SessionCache(1 << 30, SETTINGS)
    cancelled, other = Cancellation(), Cancellation()
    logits(predictor(text_model(NET), cancellation=cancelled, sessions=sessions), images())
    cancelled.cancel()
    logits(predictor(text_model(NET), cancellation=other, sessions=sessions), images())


@pytest.fixture
def _measured_by_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)


@pytest.mark.usefixtures("_measured_by_weights")
def test_the_cache_closes_the_least_recently_used_beyond_its_bytes(text_model: Parse) -> None:
    model = ir.from_proto(text_model(NET))
    size = open_session(model, SETTINGS).nbytes
    sessions = SessionCache(2 * size, SETTINGS)
    sessions.get("a", lambda: model)
    sessions.get("b", lambda: model)
    sessions.get("a", lambda: model)
    sessions.get("c", lambda: model)
    assert [key in sessions for key in "abc"] == [True, False, True]
    assert sessions.nbytes == 2 * size


def test_a_session_is_as_large_as_what_it_adds_to_the_process(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = iter([100_000, 150_000, 150_000, 157_000, 0, 0])
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(grown))
    session = open_session(ir.from_proto(text_model(NET)), SETTINGS)
    assert session.nbytes == 50_000
    for _ in range(2):  # the second pass finds its buffers
        session.run({"image": images()}, ["scores"], Cancellation(), len(images()))
        assert session.nbytes == 57_000


def test_the_cache_is_bounded_in_number_whatever_the_sessions_weigh(text_model: Parse) -> None:
    sessions = SessionCache(1 << 40, SETTINGS, max_sessions=3)
    model = ir.from_proto(text_model(NET))
    for number in range(10):
        sessions.get(str(number), lambda: model)
    assert len(sessions) == 3
    assert "9" in sessions


@pytest.mark.usefixtures("_measured_by_weights")
def test_sessions_of_the_task_in_work_are_kept_until_the_next_one(text_model: Parse) -> None:
    sessions = SessionCache(1, SETTINGS)
    model = ir.from_proto(text_model(NET))
    sessions.get("before", lambda: model)
    sessions.begin_task()
    for key in ("a", "b", "c"):
        sessions.get(key, lambda: model)
    assert ("before" in sessions, len(sessions)) == (False, 3)
    sessions.begin_task()
    assert len(sessions) == 1


def test_passing_sessions_are_few_though_the_task_is_in_work(text_model: Parse) -> None:
    sessions = SessionCache(1 << 40, SETTINGS)
    model = ir.from_proto(text_model(NET))
    sessions.begin_task()
    sessions.get("kept", lambda: model)
    for number in range(10):
        sessions.get(str(number), lambda: model, passing=True)
        sessions.get("6", lambda: model, passing=True)  # in use: it stays
    held = [key for key in map(str, range(10)) if key in sessions]
    assert held == ["6", "7", "8", "9"]
    assert "kept" in sessions
    sessions.discard("9")
    sessions.get("9", lambda: model, passing=True)
    assert len(sessions) == 1 + MAX_PASSING


def test_what_is_discarded_leaves_the_cache(text_model: Parse) -> None:
    sessions = SessionCache(1 << 30, SETTINGS)
    model = ir.from_proto(text_model(NET))
    for key in ("x/plain", "x/masked", "y/plain"):
        sessions.get(key, lambda: model)
    sessions.discard("x")
    assert (len(sessions), "y/plain" in sessions) == (1, True)


def test_a_session_larger_than_the_cache_is_still_served(text_model: Parse) -> None:
    sessions = SessionCache(1, SETTINGS)
    model = ir.from_proto(text_model(NET))
    first = sessions.get("a", lambda: model)
    assert sessions.get("a", lambda: model) is first


def test_a_key_is_built_once_for_many_threads(text_model: Parse) -> None:
    sessions, built = SessionCache(1 << 30, SETTINGS), []
    model = ir.from_proto(text_model(NET))

    def build() -> ir.Model:
        built.append(1)
        return model

    threads = [threading.Thread(target=sessions.get, args=("a", build)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_lent_weights_give_the_same_bits_as_embedded_ones(text_model: Parse) -> None:
    model = ir.from_proto(text_model(NET))
    lent = open_session(model, SETTINGS).run(
        {"image": images()}, ["scores"], Cancellation(), len(images())
    )[0]
    options = native_options(SETTINGS)
    embedded = ort.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])
    assert lent.tobytes() == embedded.run(["scores"], {"image": images()})[0].tobytes()


def test_what_onnx_runtime_refuses_is_an_invalid_model(text_model: Parse) -> None:
    model = text_model(NET)
    model.graph.node[0].attribute[0].ints[0] = -100
    with pytest.raises(InvalidModelError):
        open_session(ir.from_proto(model), replace(SETTINGS, log_severity=4))


def test_what_fails_while_running_is_an_invalid_model(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 16, 16] image) => (float[N, 2] scores)
        <int64[2] target = {0, 7}>
        { p = GlobalAveragePool (image) scores = Reshape (p, target) }""")
    session = open_session(ir.from_proto(model), replace(SETTINGS, log_severity=4))
    with pytest.raises(InvalidModelError, match=r"failed while running.*Reshape"):
        session.run({"image": images()}, ["scores"], Cancellation(), len(images()))


def test_rewritten_models_load_without_warnings(
    text_model: Parse, capfd: pytest.CaptureFixture[str]
) -> None:
    built = predictor(text_model(NET))
    logits(built, images())
    masked(built, images(), np.ones((4, 16, 16), bool), "reference")
    masked(built, images(), np.ones((4, 16, 16), bool), "strict")
    gradients(built, images(), np.ones((4, 5), np.float32), "last")
    assert capfd.readouterr().err == ""


def test_passes_compose_and_large_weights_may_be_drawn_anew(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 16, 16] image) => (float[N, 5] scores)
        <float[64, 3, 3, 3] w, float[5, 64] v> {
            c = Conv <pads = [1, 1, 1, 1]> (image, w) last = Relu (c)
            p = GlobalAveragePool (last) f = Flatten (p) scores = Gemm <transB = 1> (f, v)
        }""")
    rng = np.random.default_rng(0)
    for stored in model.graph.initializer:
        drawn = rng.normal(size=tuple(stored.dims)).astype(np.float32)
        stored.CopyFrom(onnx.numpy_helper.from_array(drawn, stored.name))
    built = predictor(model)
    layers = built.facts.layers
    assert len(layers) == 2
    name, masks, gates = built.facts.model, np.ones((4, 16, 16), bool), np.ones((4, 64), "f")
    trained = built.submit(ModelPass(name), Batch(images())).result()
    anew = ModelPass(name, Weights(layers, 1))
    random = built.submit(anew, Batch(images())).result()
    assert np.abs(random.logits - trained.logits).max() > 0.1
    everything = replace(anew, masking=Masking(), wrt="last", taps=("c",), gate="last")
    batch = Batch(images(), masks, np.eye(5, dtype=np.float32)[:4], gates)
    found = built.submit(everything, batch).result()
    # The same sums in another order.
    np.testing.assert_allclose(found.logits, random.logits, rtol=1e-4, atol=1e-4)
    assert found.activations is not None
    assert found.gradients is not None
    assert found.activations.shape == found.gradients.shape == (4, 64, 16, 16)
    np.testing.assert_array_equal(np.maximum(found.features["c"], 0), found.activations)
    none = built.submit(ModelPass(name, gate="last"), Batch(images(), gates=0 * gates)).result()
    np.testing.assert_array_equal(none.logits, np.zeros((4, 5), np.float32))


@pytest.mark.parametrize("tensor", ["last", "c"])
def test_tapped_features_are_zero_where_the_network_hides_them(
    text_model: Parse, tensor: str
) -> None:
    built = predictor(text_model(NET))
    masks = np.zeros((4, 16, 16), bool)
    masks[:, 2:9, 1:7] = True
    run = ModelPass(built.facts.model, masking=Masking(Mode.REFERENCE), taps=(tensor,))
    answers = built.submit(run, Batch(images(), masks)).result()
    assert answers.coverage is not None
    found = answers.features[tensor]
    hidden = (found == 0).all(axis=(0, 1))
    assert 0.2 < hidden.mean() < 1
    untapped = masked(built, images(), masks, "reference")
    np.testing.assert_allclose(answers.logits, untapped.logits, rtol=1e-5, atol=1e-5)
    garbage = np.where(masks[:, np.newaxis], images(), np.float32(1e6))
    again = built.submit(run, Batch(garbage, masks)).result().features[tensor]
    np.testing.assert_array_equal(again, found)
