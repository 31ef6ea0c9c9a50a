"""What runs networks: chosen by name, refused where it is missing, in float32 everywhere."""

from importlib.metadata import version

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.removal import Masking, Mode
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.composition import composed
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime import Cancellation, SessionCache, SessionSettings
from heatproof.graphs.runtime.backends.agreement import require_agreement
from heatproof.graphs.runtime.backends.onnxruntime_networks import (
    OnnxRuntimeNetwork,
    open_in_onnxruntime,
)
from heatproof.graphs.runtime.backends.openvino_networks import native_properties
from heatproof.graphs.runtime.backends.providers import (
    Provider,
    composes,
    device_of,
    native_providers,
    platform_of,
    provider_in_words,
    require_installed,
)
from tests.graphs.conftest import parse
from tests.graphs.runtime.test_runtime import NET, UNIT, Parse

CPU = "CPUExecutionProvider"
INSTALLED = set(ort.get_available_providers())
RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 3, 16, 16), np.float32)
MASKS = RNG.random((2, 16, 16)) < 0.6
WEIGHTS = np.eye(2, 5, dtype=np.float32)
PASSES = {
    "plain": (ModelPass("m"), Batch(IMAGES)),
    "layer-masked": (ModelPass("m", masking=Masking(Mode.REFERENCE)), Batch(IMAGES, MASKS)),
    "gradient": (ModelPass("m", wrt=IMAGE), Batch(IMAGES, output_gradients=WEIGHTS)),
}


def names(provider: Provider) -> list[str]:
    return [name for name, _ in native_providers(provider)]


@pytest.mark.parametrize("provider", Provider)
def test_what_a_provider_cannot_run_goes_to_the_processor(provider: Provider) -> None:
    assert names(provider)[-1] == CPU
    require_installed(provider, [*names(provider), "openvino"])


def test_graphs_are_lowered_for_what_runs_them() -> None:
    platforms = {provider: platform_of(provider) for provider in Provider}
    assert platforms == {
        Provider.CPU: Platform.CPU,
        Provider.CUDA: Platform.CUDA,
        Provider.TENSORRT: Platform.CUDA,
        Provider.OPENVINO: Platform.OPENVINO,
    }


def test_gpus_draw_views_themselves_where_sizes_may_vary() -> None:
    assert [provider for provider in Provider if composes(provider)] == [Provider.CUDA]
    on_gpus = [provider for provider in Provider if device_of(provider) == "cuda"]
    assert on_gpus == [Provider.CUDA, Provider.TENSORRT]


def test_a_setting_says_otherwise() -> None:
    assert SessionSettings(provider=Provider.CUDA).composes
    assert not SessionSettings(provider=Provider.CUDA, composed=False).composes
    assert SessionSettings(composed=True).composes


def test_faster_numbers_are_off() -> None:
    options = {name: given for provider in Provider for name, given in native_providers(provider)}
    assert options["CUDAExecutionProvider"]["use_tf32"] == "0"
    assert options["TensorrtExecutionProvider"]["trt_fp16_enable"] == "0"
    assert native_properties(SessionSettings())["INFERENCE_PRECISION_HINT"] == "f32"


@pytest.mark.parametrize(
    ("provider", "package"),
    [
        (Provider.CUDA, "onnxruntime-gpu in place of the onnxruntime there is,"),
        (Provider.TENSORRT, "onnxruntime-gpu in place of the onnxruntime there is,"),
        (Provider.OPENVINO, r"heatproof\[openvino\],"),
    ],
)
def test_what_is_not_installed_is_refused_with_what_is(provider: Provider, package: str) -> None:
    with pytest.raises(FailedPreconditionError, match=f"but by cpu: install {package}") as caught:
        require_installed(provider, [CPU])
    assert caught.value.field == "provider"


def test_tensorrt_without_cuda_is_not_enough() -> None:
    with pytest.raises(FailedPreconditionError):
        require_installed(Provider.TENSORRT, ["TensorrtExecutionProvider", CPU])


def answered(model: onnx.ModelProto, provider: Provider, kind: str) -> Answers:
    settings = SessionSettings(threads=2, provider=provider)
    predictor = GraphPredictor(
        canonicalize(ir.from_proto(model), UNIT, settings=settings),
        SessionCache(1 << 30, settings),
        model="m",
        batch_size=2,
        cancellation=Cancellation(),
    )
    run, batch = PASSES[kind]
    return predictor.submit(run, batch).result()


@pytest.mark.parametrize("kind", PASSES)
@pytest.mark.parametrize("provider", [one for one in Provider if one is not Provider.CPU])
def test_every_provider_that_is_installed_agrees_with_the_processor(
    text_model: Parse, provider: Provider, kind: str
) -> None:
    if provider is not Provider.OPENVINO and not set(names(provider)) <= INSTALLED:
        pytest.skip(f"this ONNX Runtime has no {provider}")
    model = text_model(NET)
    found, expected = answered(model, provider, kind), answered(model, Provider.CPU, kind)
    assert answered(model, provider, kind).logits.tobytes() == found.logits.tobytes()
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    if expected.gradients is not None:
        np.testing.assert_allclose(found.gradients, expected.gradients, rtol=1e-3, atol=1e-5)


def opened(model: str, weight: float) -> OnnxRuntimeNetwork:
    text = parse(model.replace("WEIGHT", str(weight)))
    return open_in_onnxruntime(ir.from_proto(text), SessionSettings())


SCALED = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 4, 4] image, float[N, 1, 4, 4] mask) => (float[N, 3, 4, 4] y)
<float scale = {WEIGHT}>
{ shown = Mul (image, mask) y = Mul (shown, scale) }
"""


def test_sums_in_another_order_agree() -> None:
    require_agreement(opened(SCALED, 1.0), opened(SCALED, 1.001), Provider.OPENVINO)


@pytest.mark.parametrize("weight", [1.05, -1.0, 0.0, float("nan")])
def test_a_provider_that_computes_otherwise_is_refused(weight: float) -> None:
    with pytest.raises(FailedPreconditionError, match=r"openvino computes .* y differs by"):
        require_agreement(opened(SCALED, weight), opened(SCALED, 1.0), Provider.OPENVINO)


DRAWING = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 4, 6] image, float[N, 1, 4, 6] mask) => (float[N, 3, 4, 6] y)
{ y = Mul (image, mask) }
"""


def drawing(*, inverted: bool = False) -> OnnxRuntimeNetwork:
    made = composed(ir.from_proto(parse(DRAWING)), "image")
    for node in made.graph:
        if inverted and node.op_type == "Where":
            _, shown, behind = node.inputs
            node.replace_input_with(1, behind)
            node.replace_input_with(2, shown)
    return open_in_onnxruntime(made, SessionSettings())


def test_a_graph_that_draws_its_rows_is_held_to_the_processor_too() -> None:
    require_agreement(drawing(), drawing(), Provider.CUDA)
    with pytest.raises(FailedPreconditionError, match=r"cuda computes .* y differs by"):
        require_agreement(drawing(inverted=True), drawing(), Provider.CUDA)


def test_what_may_change_a_bit_is_told() -> None:
    told = {provider: provider_in_words(provider) for provider in Provider}
    assert told[Provider.CPU] == CPU
    assert "use_tf32=0" in told[Provider.CUDA]
    assert told[Provider.OPENVINO].endswith(" INFERENCE_PRECISION_HINT=f32")
    assert version("openvino") in told[Provider.OPENVINO]


def test_a_transposed_convolution_has_weights_of_its_own_for_openvino() -> None:
    given = parse(NET)
    names_given = [weight.name for weight in given.graph.initializer]
    model = differentiated(canonicalize(ir.from_proto(given), UNIT).model, of="scores", wrt="image")
    made = lowered(model, Platform.OPENVINO)

    def shared(held: ir.Model) -> list[ir.Value]:
        weights = [node.inputs[1] for node in held.graph if node.op_type == "ConvTranspose"]
        return [one for one in weights if one is not None and len(one.uses()) > 1]

    assert shared(model)
    assert not shared(made)
    feeds = {"image": IMAGES, "output_gradient": WEIGHTS}
    one, other = (
        ort.InferenceSession(to_bytes(held), providers=[CPU]).run(None, feeds)
        for held in (model, made)
    )
    assert [part.tobytes() for part in one] == [part.tobytes() for part in other]
    assert [weight.name for weight in given.graph.initializer] == names_given
