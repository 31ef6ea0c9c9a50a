"""Attribution maps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Unpack

import numpy as np
from numpy.typing import NDArray

from heatproof.client.clients.effects import Flow, Rpc, Stream, limit, work
from heatproof.client.clients.flows.datasets import AnnotationOptions, annotated, message
from heatproof.client.clients.flows.evaluations import (
    CacheOptions,
    ExplainerSource,
    annotation_options,
)
from heatproof.client.clients.flows.models import CallOptions, name_classes, stored_models
from heatproof.client.clients.progress import ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents import messages
from heatproof.client.documents.annotations import Annotations, AnnotationSources, LabelsSource
from heatproof.client.documents.captions import caption
from heatproof.client.documents.images import ImagesSource, NamedImage
from heatproof.client.documents.model_files import ModelSource, ModelSources
from heatproof.client.documents.policies import PreprocessingSource, read_preprocessing
from heatproof.client.documents.results.inputs import ModelInputs
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.documents.targets import TargetSource
from heatproof.v1.class_output_pb2 import ClassOutput
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.explanation_service_pb2 import ExplainRequest, Explanation
from heatproof.v1.explanation_service_pb2_grpc import ExplanationServiceStub
from heatproof.v1.preprocessing_pb2 import Preprocessing
from heatproof.v1.results_pb2 import CleanPrediction
from heatproof.v1.tensor_pb2 import DATA_TYPE_UINT8, Tensor

EXPLAIN: Final = Rpc(ExplanationServiceStub, "Explain")

BATCH: Final = 16
"""Images of one request: the most that the contract allows."""


@dataclass(frozen=True, slots=True)
class ExplainedImage:
    """One map of one image.

    Attributes:
        image: name of the image.
        explainer: the explainer with all its parameters.
        prediction: the model's answer to the clean image, and the class that is explained.
        values: float32 [height, width] in the model's input frame, higher matters more; None if
            there is no map.
        undefined: why there is no map; empty if there is one.
        overlay_png: PNG of the map over the image; empty unless asked for.
        class_output: how the class scores of the model are read.
        preprocessing: how the image became the model's input, with all of its values.
        input_pixels: float32 [3, height, width], RGB in [0, 1], the image in the model's input
            frame; None unless asked for.
    """

    image: str
    explainer: Explainer
    prediction: CleanPrediction
    values: NDArray[np.float32] | None
    undefined: str
    overlay_png: bytes
    class_output: ClassOutput
    preprocessing: Preprocessing
    input_pixels: NDArray[np.float32] | None

    @property
    def name(self) -> str:
        """The explainer in words."""
        return caption(self.explainer)


class InputOptions(StatementOptions, CallOptions, total=False):
    """Options of whatever asks a model about images and a class.

    Attributes:
        labels: classes of the images, for a target that is the label.
        target: what is explained; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
    """

    labels: LabelsSource | None
    target: TargetSource
    class_names: Sequence[str]


class ExplainOptions(AnnotationOptions, StatementOptions, CallOptions, CacheOptions, total=False):
    """Further options: what is known about the images, and these.

    Attributes:
        target: what is explained: `predicted` (the default), `label`, `class:207`,
            `contrast:207,208` or `group:281,282`; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        seed: seed of everything random; 0 by default.
        overlay: whether to draw the map over the image.
        input_pixels: whether each map comes with the image as the model reads it.
    """

    target: TargetSource
    class_names: Sequence[str]
    seed: int
    overlay: bool
    input_pixels: bool


def explain(
    model: ModelSource,
    images: ImagesSource,
    *,
    preprocessing: PreprocessingSource,
    explainers: Iterable[ExplainerSource],
    **options: Unpack[ExplainOptions],
) -> Flow[tuple[ExplainedImage, ...]]:
    """Computes attribution maps, image by image and explainer by explainer.

    Args:
        model: path of an .onnx file, its bytes, a name `models/...`, or a `torch.nn.Module`, with
            `example`.
        images: paths, folders, arrays, Pillow images or bytes.
        preprocessing: name of a preset, path of a TOML file, or a table.
        explainers: names such as `"grad_cam"`, or with parameters `{"rise": {"masks": 500}}`.
        **options: labels, target, seed, overlays, an example of what a module takes, a timeout, and
            what is said of the class output; see `ExplainOptions` and `CallOptions`.
    """
    model_sources = ModelSources((model,), options.get("example"))
    yield from limit(options.get("timeout"))
    known_options = annotation_options(options)
    others = {*known_options, *CallOptions.__annotations__}
    chosen = {key: value for key, value in options.items() if key not in others}
    request = messages.read(ExplainRequest, {"explainers": messages.listed(explainers), **chosen})
    request.preprocessing.CopyFrom(read_preprocessing(preprocessing))
    sources = AnnotationSources(**known_options)
    found, known = yield from work(partial(annotated, images, sources))
    (held,) = yield from stored_models(model_sources, ignore)
    request.model = held.name
    name_classes(request, [held])
    explained: list[ExplainedImage] = []
    for start in range(0, len(found), BATCH):
        batch = range(start, min(start + BATCH, len(found)))
        sent = yield from work(partial(_filled, request, found, batch, known))
        reader = partial(partial, _explained, [found[index].name for index in batch])
        explained.extend((yield from patiently(Stream(EXPLAIN, sent, reader))))
    return tuple(explained)


def model_inputs(
    model: ModelSource,
    images: ImagesSource,
    *,
    preprocessing: PreprocessingSource,
    **options: Unpack[InputOptions],
) -> Flow[ModelInputs]:
    """Makes the very pixels that the server gives a model, for other libraries to explain.

    What `heatproof.client.adapters` makes of them are maps for `maps` of `evaluate`.

    Args:
        model: as of `explain`.
        images: as of `explain`.
        preprocessing: as of `explain`.
        **options: labels, target, what is said of the class output, an example of what a module
            takes, and a timeout; see `InputOptions` and `CallOptions`.
    """
    flow = explain(
        model,
        images,
        preprocessing=preprocessing,
        explainers=["centre"],  # costs nothing, and every model has it
        input_pixels=True,
        **options,
    )
    found = yield from flow
    return ModelInputs(
        names=tuple(one.image for one in found),
        pixels=tuple(one.input_pixels for one in found if one.input_pixels is not None),
        classes=tuple(one.prediction.target for one in found),
        preprocessing=found[0].preprocessing,
    )


def _filled(
    request: ExplainRequest, images: Sequence[NamedImage], batch: range, known: Annotations
) -> ExplainRequest:
    filled = ExplainRequest()
    filled.CopyFrom(request)
    filled.images.extend(message(index, images[index], known) for index in batch)
    return filled


def _explained(names: Sequence[str], reply: Explanation) -> ExplainedImage:
    return ExplainedImage(
        image=names[reply.image],
        explainer=reply.explainer,
        prediction=reply.prediction,
        values=_array(reply.values) if reply.HasField("values") else None,
        undefined=reply.undefined.detail or reply.undefined.reason,
        overlay_png=reply.overlay_png,
        class_output=reply.class_output,
        preprocessing=reply.preprocessing,
        input_pixels=_pixels(reply.input_pixels) if reply.HasField("input_pixels") else None,
    )


def _pixels(tensor: Tensor) -> NDArray[np.float32]:
    if tensor.data_type != DATA_TYPE_UINT8:
        return _array(tensor)
    held = np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape)
    values: NDArray[np.float32] = held.astype(np.float32) / np.float32(255)
    return values


def _array(tensor: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = np.frombuffer(tensor.data, "<f4").reshape(tensor.shape)
    return values
