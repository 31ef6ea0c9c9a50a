"""Models that answer differently each time, or by their neighbours, are refused by name."""

import threading
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic

from heatproof.evaluators.errors import (
    CancelledError,
    UnsupportedModelError,
    UnsupportedOperatorError,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.model_warnings import Doubt
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.removal import Masking
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.notes import notes_of
from heatproof.graphs.gradients import differentiated, gradient_blockers
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import layer_masked, masking_blockers
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.preparation import prepared
from heatproof.graphs.runtime import (
    Cancellation,
    SessionCache,
    SessionSettings,
    open_session,
)
from tests.graphs.exporters.foreign_forms import TAIL, network
from tests.graphs.passes import gradients, logits

WEIGHTS = "float[4, 3, 3, 3] w, float[5, 4] v, float[5] b"
NORM = "float[4] g = {1, 1, 1, 1}, float[4] o = {0, 0, 0, 0}"


def between(nodes: str, weights: str = "", opset: int = 17, tail: str = TAIL) -> ModelProto:
    """A network in which nodes named in Python lead from k to c."""
    return network(
        f"k = Conv <pads = [1, 1, 1, 1]> (image, w) {nodes} {tail}",
        weights=f"{WEIGHTS}{', ' if weights else ''}{weights}",
        opset=opset,
    )


def named(model: ModelProto) -> ir.Model:
    for node in model.graph.node:
        node.name = f"the_{node.op_type}"
    return ir.from_proto(model)


UNREPEATABLE = {
    "RandomNormalLike": lambda: between("n = RandomNormalLike (k) c = Add (k, n)"),
    "RandomUniformLike": lambda: between("n = RandomUniformLike <seed = 1.0> (k) c = Add (k, n)"),
    "RandomNormal": lambda: between("n = RandomNormal <shape = [1, 4, 8, 8]> () c = Add (k, n)"),
    "RandomUniform": lambda: between(
        "n = RandomUniform <seed = 3.0, shape = [4, 1, 1]> () c = Add (k, n)"
    ),
    "Bernoulli": lambda: between("s = Sigmoid (k) c = Bernoulli (s)"),
    "Multinomial": lambda: between(
        """p0 = GlobalAveragePool (k) f0 = Flatten (p0) m = Multinomial (f0) q = Cast <to = 1> (m)
           u = Unsqueeze (q, last) c = Add (k, u)""",
        "int64[2] last = {2, 3}",
    ),
    "BatchNormalization": lambda: between(
        "c, mean, var = BatchNormalization <training_mode = 1> (k, g, o, o, g)", NORM
    ),
}


@pytest.mark.parametrize("kind", list(UNREPEATABLE))
def test_a_random_or_training_node_is_refused_by_name_everywhere(kind: str) -> None:
    model = named(UNREPEATABLE[kind]())
    facts = inspect(model)
    for find, rewrite, support in (
        (masking_blockers, layer_masked, facts.layer_masking),
        (gradient_blockers, differentiated, facts.gradients),
    ):
        first = find(model)[0]
        assert first.node == f"the_{kind}"
        assert "model.eval()" in first.reason
        assert support.blockers[0] == first
        with pytest.raises(UnsupportedOperatorError, match=f"the_{kind}.*model.eval"):
            rewrite(model)
    with pytest.raises(UnsupportedOperatorError, match=f"the_{kind}.*model.eval") as refusal:
        canonicalize(model, PRESETS["unit"])
    assert facts.shortcoming == refusal.value.message


def test_random_outputs_beside_the_scores_are_no_shortcoming() -> None:
    proto = between("c = Identity (k) n = RandomNormalLike (k)")
    proto.graph.output.add(name="n").type.tensor_type.elem_type = TensorProto.FLOAT
    model = ir.from_proto(proto)
    assert inspect(model).shortcoming == ""
    assert canonicalize(model, PRESETS["unit"]).logits


def test_five_outputs_of_an_old_batch_normalization_are_training() -> None:
    nodes = "c, mean, var, saved_mean, saved_var = BatchNormalization (k, g, o, o, g)"
    with pytest.raises(
        UnsupportedOperatorError, match=r"BatchNormalization-9\): it is in training"
    ):
        canonicalize(named(between(nodes, NORM, opset=9)), PRESETS["unit"])


STANDARDISED = (
    "t1 = Reshape (w, flat) {} z1 = Reshape (u, shape) c = Conv <pads = [1, 1, 1, 1]> (image, z1)"
)
STATISTICS = "float[4] s1 = {2, 1, 3, 1}, float[4] m1 = {0.5, 0.25, 0, 1}, "
SHAPES = "int64[3] flat = {1, 4, 27}, int64[4] shape = {4, 3, 3, 3}"


@pytest.mark.parametrize(
    ("opset", "nodes"),
    [
        (9, "u, u1, u2, u3, u4 = BatchNormalization (t1, s1, m1, m1, s1)"),
        (13, "u, u1, u2, u3, u4 = BatchNormalization (t1, s1, m1, m1, s1)"),
        (17, "u, u1, u2 = BatchNormalization <training_mode = 1> (t1, s1, m1, m1, s1)"),
    ],
)
def test_weights_that_are_normalized_in_training_mode_are_constants(opset: int, nodes: str) -> None:
    """As weight-standardised convolutions are written: no image takes part."""
    model = between(STANDARDISED.format(nodes), STATISTICS + SHAPES, opset=opset)
    plain = prepared(ir.from_proto(model))
    assert "BatchNormalization" not in {node.op_type for node in plain.graph}
    # ONNX Runtime's own folding takes the given statistics, where its kernel takes the batch's.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected, found = (
        ort.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
        for proto in (model, ir.to_proto(plain))
    )
    image = {expected.get_inputs()[0].name: rows(expected)}
    np.testing.assert_allclose(found.run(None, image)[0], expected.run(None, image)[0], atol=1e-5)


def rows(session: ort.InferenceSession) -> NDArray[np.float32]:
    sides = [side if isinstance(side, int) else 2 for side in session.get_inputs()[0].shape]
    return np.random.default_rng(1).standard_normal(sides).astype(np.float32)


def test_random_nodes_in_a_branch_are_found() -> None:
    model = named(
        between(
            """s = ReduceSum <keepdims = 0> (k) z = Cast <to = 9> (s)
               c = If (z) <then_branch = a () => (float[N, 4, 8, 8] x) { x = RandomNormalLike (k) },
                           else_branch = b () => (float[N, 4, 8, 8] y) { y = Relu (k) }>"""
        )
    )
    with pytest.raises(UnsupportedOperatorError, match="RandomNormalLike"):
        canonicalize(model, PRESETS["unit"])


def test_random_nodes_that_nothing_reads_do_no_harm() -> None:
    model = named(between("n = RandomNormalLike (k) c = Relu (k)"))
    assert not masking_blockers(model)
    assert not gradient_blockers(model)
    canonicalize(model, PRESETS["unit"])


def answers(canonical: CanonicalModel) -> np.ndarray:
    images = np.random.default_rng(5).random((2, 3, 8, 8), np.float32)
    session = open_session(canonical.model, SessionSettings())
    found: np.ndarray = session.run(
        {canonical.input_name: images}, [canonical.logits], Cancellation(), len(images)
    )[0]
    return found


TRAINING = "float ratio = {0.5}, bool yes = {1}"


@pytest.mark.parametrize("opset", [12, 13, 22])
def test_a_dropout_in_training_mode_is_turned_off_and_said(opset: int) -> None:
    dropped = named(between("c = Dropout (k, ratio, yes)", TRAINING, opset=opset))
    kept = named(between("c = Identity (k)", TRAINING, opset=opset))
    canonical = canonicalize(dropped, PRESETS["unit"])
    np.testing.assert_array_equal(answers(canonical), answers(canonicalize(kept, PRESETS["unit"])))
    for model in (layer_masked(dropped), differentiated(dropped), canonical.model):
        (note,) = notes_of(model)
        assert note.text.startswith("node 'the_Dropout', Dropout, is in training mode")
        assert note.changes_answers
    assert inspect(dropped).notes == tuple(note.text for note in notes_of(canonical.model))


def test_a_dropout_whose_mode_is_an_input_is_turned_off_and_the_input_is_not_asked_for() -> None:
    model = network(
        f"k = Conv <pads = [1, 1, 1, 1]> (image, w) c = Dropout (k, ratio, phase) {TAIL}",
        inputs="float[N, 3, 8, 8] image, bool phase",
        weights=f"{WEIGHTS}, float ratio = {{0.5}}",
    )
    canonical = canonicalize(named(model), PRESETS["unit"])
    assert [value.name for value in canonical.model.graph.inputs] == ["image"]
    assert len(notes_of(canonical.model)) == 1


@pytest.mark.parametrize(
    "weights", ["float ratio = {0.5}, bool yes = {0}", "float ratio = {0.0}, bool yes = {1}"]
)
def test_a_dropout_that_drops_nothing_is_not_mentioned(weights: str) -> None:
    model = named(between("c = Dropout (k, ratio, yes)", weights))
    assert notes_of(canonicalize(model, PRESETS["unit"]).model) == ()


def test_a_dropout_whose_mask_is_read_is_refused() -> None:
    nodes = "d, m = Dropout (k, ratio, yes) q = Cast <to = 1> (m) c = Mul (d, q)"
    with pytest.raises(UnsupportedOperatorError, match=r"the_Dropout.*its mask is read"):
        canonicalize(named(between(nodes, TRAINING)), PRESETS["unit"])


ROWS = "int64[1] rows = {0}, int64 axis = {0}, int64[1] last = {-1}, int64[1] before = {-99}"
BY_NEIGHBOURS: dict[str, tuple[str, str]] = {
    "ReduceMean": ("m = ReduceMean <axes = [0]> (k) c = Sub (k, m)", "the_(ReduceMean|Sub)"),
    "ReduceMax": ("m = ReduceMax <axes = [0]> (k) c = Add (k, m)", "the_(ReduceMax|Add)"),
    "Softmax": ("c = Softmax <axis = 0> (k)", "the_Softmax"),
    "CumSum": ("c = CumSum (k, axis)", "the_CumSum"),
    "CumSum from the end": ("c = CumSum <reverse = 1> (k, axis)", "the_CumSum"),
    "Gather": ("m = Gather <axis = 0> (k, rows) c = Mul (k, m)", "the_(Gather|Mul)"),
    "Transpose": (
        """t = Transpose <perm = [1, 0, 2, 3]> (k) s = Softmax <axis = 1> (t)
           c = Transpose <perm = [1, 0, 2, 3]> (s)""",
        "the_",
    ),
    "reversal": ("c = Slice (k, last, before, rows, last)", "the_Slice"),
    "order by brightness": (
        """d = ReduceMean <axes = [1, 2, 3], keepdims = 0> (k) s = Shape (d)
           top, place = TopK <axis = 0> (d, s) c = Gather <axis = 0> (k, place)""",
        "the_(TopK|Gather)",
    ),
    "order by darkness": (
        """d = ReduceMean <axes = [1, 2, 3], keepdims = 0> (k) s = Shape (d)
           top, place = TopK <axis = 0, largest = 0> (d, s) c = Gather <axis = 0> (k, place)""",
        "the_(TopK|Gather)",
    ),
}


@pytest.mark.parametrize("kind", list(BY_NEIGHBOURS))
def test_a_model_that_mixes_the_images_of_a_batch_is_refused_by_name(kind: str) -> None:
    nodes, node = BY_NEIGHBOURS[kind]
    with pytest.raises(UnsupportedModelError, match=f"node '{node}.*depends on the others"):
        canonicalize(named(between(nodes, ROWS)), PRESETS["unit"])


@pytest.mark.parametrize("bad", ["NaN", "infinity"])
def test_answers_that_are_not_finite_do_not_count_as_different(bad: str) -> None:
    numerator = "zero" if bad == "NaN" else "one"
    nodes = f"r0 = Relu (k) n = Neg (r0) z = Relu (n) q = Div ({numerator}, z) c = Add (k, q)"
    canonicalize(named(between(nodes, "float zero = {0}, float one = {1}")), PRESETS["unit"])


def predictor(model: ModelProto, cancellation: Cancellation | None = None) -> GraphPredictor:
    return GraphPredictor(
        canonicalize(named(model), PRESETS["unit"]),
        SessionCache(1 << 30, SessionSettings()),
        model="models/m",
        batch_size=2,
        cancellation=cancellation or Cancellation(),
    )


def images(count: int) -> np.ndarray:
    return np.random.default_rng(7).random((count, 3, 8, 8), np.float32)


def looped(nodes: str, trips: int = 2) -> ModelProto:
    body = """q = Loop (trips, true, k) <body = b (int64 n, bool on, float[N, 4, 8, 8] x) =>
              (bool go, float[N, 4, 8, 8] y) { go = Identity (on) y = Abs (x) }>"""
    weights = f"int64 trips = {{{trips}}}, bool true = {{1}}"
    return between(f"{body} {nodes}", weights)


MIXED = "m = ReduceMean <axes = [0]> (q) c = Sub (q, m)"
SCANNED = """t = Transpose <perm = [1, 0, 2, 3]> (k)
    u = Scan <num_scan_inputs = 1, body = b (float[N, 8, 8] x) => (float[N, 8, 8] y)
    {{ y = {} (x) }}> (t) c = Transpose <perm = [1, 0, 2, 3]> (u)"""
LATE = {
    "Loop": (looped("c = Relu (q)"), looped(MIXED)),
    "Scan": (
        between(SCANNED.format("Relu")),
        between(SCANNED.format("Softmax <axis = 0>")),
    ),
}


@pytest.mark.parametrize("kind", LATE)
def test_rows_of_what_may_run_for_ever_are_compared_before_the_first_answer(kind: str) -> None:
    sound, mixed = LATE[kind]
    run = predictor(mixed)
    for pass_of in (
        partial(logits, run),
        lambda batch: gradients(run, batch, np.ones((2, 5), "f"), ""),
    ):
        with pytest.raises(UnsupportedModelError, match=r"the_.*depends on the others"):
            pass_of(images(2))
    assert np.isfinite(logits(predictor(sound), images(2))).all()


def test_rows_behind_exploding_constants_are_compared_before_the_first_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = "heatproof.graphs.canonical.canonicalization.folds_within_budget"
    monkeypatch.setattr(where, lambda _: False)
    run = predictor(between("m = ReduceMean <axes = [0]> (k) c = Sub (k, m)"))
    with pytest.raises(UnsupportedModelError, match=r"the_.*depends on the others"):
        logits(run, images(2))


def test_comparing_rows_can_be_cancelled() -> None:
    cancellation = Cancellation()
    run = predictor(looped("c = Relu (q)", trips=1 << 62), cancellation)
    timer = threading.Timer(0.3, cancellation.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        logits(run, images(2))
    timer.join()


def dynamically_quantized(folder: Path) -> ModelProto:
    plain, quantized = folder / "plain.onnx", folder / "quantized.onnx"
    model = between("c = Relu (k)")
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = rng.normal(0, 0.5, tuple(tensor.dims)).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, plain)
    quantize_dynamic(plain, quantized, weight_type=QuantType.QUInt8)
    return onnx.load(quantized)


def test_a_dynamically_quantized_model_answers_for_each_image_as_for_it_alone(
    tmp_path: Path,
) -> None:
    model = dynamically_quantized(tmp_path)
    assert "ConvInteger" in {node.op_type for node in model.graph.node}
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    run, batch = predictor(model), images(2) * np.array([0.2, 1], np.float32)[:, None, None, None]
    alone = [session.run(None, {"image": batch[row : row + 1]})[0] for row in (0, 1)]
    np.testing.assert_allclose(logits(run, batch), np.concatenate(alone), rtol=1e-5, atol=1e-6)
    together = session.run(None, {"image": batch})[0]
    assert np.abs(together - logits(run, batch)).max() > 1e-3, "the neighbours would have counted"
    (warning,) = run.facts.warnings
    assert warning.reason is Doubt.MODEL_FORM
    assert "DynamicQuantizeLinear" in warning.text
    assert "every image is run by itself" in warning.text
    assert inspect(named(model)).notes == (warning.text,)
    for asked in (ModelPass("", masking=Masking()), ModelPass("", wrt=IMAGE)):
        assert run.facts.supports(asked) is not None


def test_a_freed_batch_is_noted_alike_by_inspection_and_evaluation() -> None:
    model = network(inputs="float[1, 3, 8, 8] image", outputs="float[1, 5] scores")
    run = predictor(model)
    (warning,) = run.facts.warnings
    assert (warning.reason, warning.model) == (Doubt.MODEL_FORM, "models/m")
    assert "batch size 1 only: its batch dimension is freed" in warning.text
    assert inspect(named(model)).notes == (warning.text,)


def test_a_batch_that_is_baked_into_a_reshape_is_noted_too() -> None:
    model = network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)
           f = Reshape (p, flat) scores = Gemm <transB = 1> (f, v, b)""",
        weights=f"{WEIGHTS}, int64[2] flat = {{1, 4}}",
    )
    (warning,) = predictor(model).facts.warnings
    assert "freed" in warning.text
    assert inspect(named(model)).notes == (warning.text,)
