"""Forms of other exporters and tools, held against ONNX Runtime on the original file.

What `inspect` says of a model is what happens: a rewrite that it reports runs and agrees with the
original, one that it reports as blocked is refused for the same node and reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidModelError,
    UnsupportedModelError,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.class_outputs import COARSE
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.removal import Masking
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.files.notes import notes_of
from heatproof.graphs.files.saving import save_model
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.inspection.inspecting import ModelFacts, Support, inspect
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime import Cancellation, SessionCache, SessionSettings
from tests.graphs import passes
from tests.graphs.exporters.foreign_forms import FORMS, ORACLES, STORED, TAIL, network, stored

Array = NDArray[Any]
Store = Callable[[ModelProto | bytes], Path]
BUILDERS = {**FORMS, **{name: lambda name=name: stored(name) for name in STORED}}


@dataclass(frozen=True)
class Case:
    """One model, as a file, as loaded, and as described."""

    path: Path
    model: ir.Model
    facts: ModelFacts

    @property
    def size(self) -> tuple[int, int]:
        return self.facts.height, self.facts.width

    def image(self) -> Array:
        info = next(one for one in self.facts.inputs if one.name == self.facts.image_input)
        batch = int(info.shape[0]) if info.shape[0].isdigit() else 2
        shape = (batch, 3, *self.size) if self.facts.layout == "nchw" else (batch, *self.size, 3)
        rng = np.random.default_rng(0)
        if info.data_type == "UINT8":
            return rng.integers(0, 256, shape, np.uint8)
        return rng.random(shape).astype(np.float32)

    def classes(self) -> list[int]:
        """Sizes of the class output behind the batch."""
        infos = {one.name: one for one in self.facts.outputs}
        sizes = infos[self.facts.class_output].shape[1:]
        return [int(size) if size.isdigit() else self.facts.classes for size in sizes]

    def feeds(self, **more: Array) -> dict[str, Array]:
        """The image, what else is given, and zeros for inputs that nobody reads."""
        feeds = {self.facts.image_input: self.image(), **more}
        for one in self.facts.inputs:
            sizes = [int(size) if size.isdigit() else 1 for size in one.shape]
            dtype = ir.DataType[one.data_type].numpy()
            feeds.setdefault(one.name, np.zeros(sizes, dtype))
        return feeds


@pytest.fixture
def case(store: Store, request: pytest.FixtureRequest) -> Case:
    name = request.param
    path = store(BUILDERS[name]())
    model = load_model(path)
    if name in ORACLES:
        path = store(ORACLES[name]())
    facts = inspect(model)
    return Case(path, sized(model, facts), facts)


def sized(model: ir.Model, facts: ModelFacts) -> ir.Model:
    """The model itself, or of the size at which it was described."""
    if not facts.probed:
        return model
    copy = model.clone()
    for value in copy.graph.inputs:
        if value.name == facts.image_input and value.shape is not None:
            value.shape = ir.Shape([value.shape[0], 3, facts.height, facts.width])
    return copy


def answers(path: Path, feeds: dict[str, Array]) -> list[tuple[str, Any]]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return list(zip(names, session.run(None, feeds), strict=True))


def written(model: ir.Model, case: Case) -> Path:
    path = case.path.with_name("rewritten.onnx")
    save_model(model, path)
    onnx.checker.check_model(path, full_check=True)
    return path


def assert_same(case: Case, found: list[tuple[str, Any]]) -> None:
    """The outputs of the original, in order; of a list of maps, their numbers."""
    expected = answers(case.path, case.feeds())
    tolerance = 2e-2 if ir.DataType.FLOAT16 in dtypes(case.model) else 1e-4
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (name, one), (_, other) in zip(found, expected, strict=True):
        array = np.array(rows(case, other))
        if array.dtype.kind == "f":
            np.testing.assert_allclose(one, array, tolerance, tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(one, array)


def rows(case: Case, answer: Any) -> Any:
    """An array itself, or the numbers of each map in the order of the classes."""
    if not isinstance(answer, list):
        return answer
    node = next(one for one in onnx.load(case.path).graph.node if one.op_type == "ZipMap")
    labels = node.attribute[0]
    names = [*labels.ints, *(text.decode() for text in labels.strings)]
    return [[pairs[name] for name in names] for pairs in answer]


def dtypes(model: ir.Model) -> set[ir.DataType | None]:
    return {value.dtype for value in model.graph.initializers.values()}


def assert_refused(rewrite: Callable[[], object], support: Support) -> None:
    first = support.blockers[0]
    with pytest.raises(HeatproofError) as refusal:
        rewrite()
    assert first.reason in refusal.value.message
    assert first.node in refusal.value.message


everywhere = pytest.mark.parametrize("case", list(BUILDERS), indirect=True)


@everywhere
def test_a_layer_masked_file_answers_as_the_original_where_all_is_visible(case: Case) -> None:
    if not case.facts.layer_masking.supported:
        assert_refused(lambda: layer_masked(case.model), case.facts.layer_masking)
        return
    mask = np.ones((len(case.image()), 1, *case.size), np.float32)
    found = answers(written(layer_masked(case.model), case), case.feeds(mask=mask))
    assert_same(case, found[:-1])
    assert found[-1][0] == "mask_coverage"
    np.testing.assert_array_equal(found[-1][1], np.ones(len(mask), np.float32))


@everywhere
def test_a_differentiated_file_answers_as_the_original_and_has_its_slope(case: Case) -> None:
    if not case.facts.gradients.supported:
        assert_refused(lambda: differentiated(case.model), case.facts.gradients)
        return
    vector = np.ones((len(case.image()), *case.classes()), np.float32)
    path = written(differentiated(case.model), case)
    found = answers(path, case.feeds(output_gradient=vector))
    assert_same(case, found[:-1])
    gradient = found[-1][1]
    assert gradient.shape == case.image().shape
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def predictor(canonical: CanonicalModel) -> GraphPredictor:
    sessions = SessionCache(1 << 30, SessionSettings(log_severity=4))
    return GraphPredictor(canonical, sessions, model="m", batch_size=2, cancellation=Cancellation())


@everywhere
def test_what_inspection_reports_explanations_can_use(case: Case) -> None:
    height, width = case.size
    canonical = canonicalize(case.model, replace(PRESETS["unit"], height=height, width=width))
    run, facts = predictor(canonical), case.facts
    rng = np.random.default_rng(0)
    images = rng.random((2, 3, height, width), np.float32)
    logits = passes.logits(run, images)
    assert logits.shape == (2, run.facts.classes)
    assert np.isfinite(logits).all()
    masking = ModelPass("m", masking=Masking())
    assert (run.facts.supports(masking) is None) == facts.layer_masking.supported
    if facts.layer_masking.supported:
        masked = passes.masked(run, images, np.ones((2, height, width), np.bool_), "reference")
        np.testing.assert_allclose(masked.logits, logits, 2e-2, 2e-2)
    vectors = np.ones_like(logits)
    if facts.gradients.supported:
        assert run.facts.supports(ModelPass("m", wrt=IMAGE)) is None
        gradient = passes.gradients(run, images, vectors, "").gradients
        assert np.abs(gradient).max() > 0


def test_nodes_that_read_each_other_in_a_circle_are_named(store: Store) -> None:
    model = network("c = Conv (image, w) k = Add (c, q) q = Relu (k) p = GlobalAveragePool (q)"
                    "f = Flatten (p) scores = Gemm <transB = 1> (f, v, b)")  # fmt: skip
    with pytest.raises(InvalidModelError, match=r"node 'Add\(k\)' \(Add\) waits for its own"):
        load_model(store(model))


def test_a_size_below_minus_one_is_refused(store: Store) -> None:
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -5
    with pytest.raises(InvalidModelError, match="input 'image' has a size of -5"):
        load_model(store(model))


def test_imports_that_contradict_each_other_are_refused(store: Store) -> None:
    model = network()
    model.opset_import.add(domain="", version=13)
    with pytest.raises(InvalidModelError, match="imports versions 17 and 13"):
        load_model(store(model))


def test_a_map_that_others_read_is_refused_by_its_node(store: Store) -> None:
    model = FORMS["labels_and_maps"]()
    model.graph.node.add(op_type="SequenceLength", input=["map"], output=["n"])
    with pytest.raises(InvalidModelError, match=r"output 'map' is a map, which ZipMap"):
        load_model(store(model))


def test_what_was_left_out_is_noted(store: Store) -> None:
    model = load_model(store(FORMS["labels_and_maps"]()))
    (note,) = notes_of(layer_masked(model))
    assert "ZipMap" in note.text
    assert "'map'" in note.text


def test_nodes_without_names_are_named_by_what_they_compute(store: Store) -> None:
    names = [node.name for node in load_model(store(FORMS["nodes_of_one_name"]())).graph]
    assert names == ["Conv(c)", "Relu(r)", "GlobalAveragePool(p)", "Flatten(f)", "Gemm(scores)"]


def test_names_that_several_nodes_have_become_different(store: Store) -> None:
    model = network()
    for node in model.graph.node:
        node.name = "layer"
    names = [node.name for node in load_model(store(model)).graph]
    assert len(set(names)) == len(names)
    assert all(name.startswith("layer") for name in names)


def test_sorting_keeps_the_order_of_nodes_that_may_stay(store: Store) -> None:
    model = FORMS["nodes_out_of_order"]()
    names = [node.op_type for node in load_model(store(model)).graph]
    assert names == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]


def test_a_message_of_the_checker_is_told_to_its_end(store: Store) -> None:
    model = network()
    model.graph.node[0].attribute.add(name="nonsense", type=AttributeProto.INT, i=1)
    with pytest.raises(InvalidModelError, match=r"nonsense.*Bad node spec for node.*onnx.checker"):
        load_model(store(model))


def test_a_scaler_is_noted(store: Store) -> None:
    (note,) = notes_of(layer_masked(load_model(store(FORMS["scaler_of_core_ml"]()))))
    assert "ImageScaler, is written as Mul and Add" in note.text


BRAIN = "bfloat16[N, 5] narrow"


def test_outputs_in_bfloat16_are_written_so_that_they_load(store: Store) -> None:
    model = load_model(
        store(
            network(
                f"c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL}narrow = Cast <to = 16> (scores)",
                outputs=BRAIN,
            )
        )
    )
    assert inspect(model).layer_masking.supported
    path = store(b"").with_name("masked.onnx")
    save_model(layer_masked(model), path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.type for value in session.get_outputs()] == ["tensor(bfloat16)", "tensor(float)"]
    assert canonicalize(model, PRESETS["unit"]).output.tolerance == COARSE


def test_an_image_in_bfloat16_is_refused_alike_by_all(store: Store) -> None:
    text = f"i = Cast <to = 1> (image) c = Conv <pads = [1, 1, 1, 1]> (i, w) {TAIL}"
    model = load_model(store(network(text, inputs="bfloat16[N, 3, 8, 8] image")))
    reason = "no image input; expected one float or uint8 input.*'image' BFLOAT16"
    assert inspect(model).image_input == ""
    for rewrite in (layer_masked, differentiated, lambda m: canonicalize(m, PRESETS["unit"])):
        with pytest.raises(UnsupportedModelError, match=reason):
            rewrite(model)
