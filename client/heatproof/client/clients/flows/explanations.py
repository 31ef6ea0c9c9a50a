"""Attribution maps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Unpack

import numpy as np
from numpy.typing import NDArray

from heatproof.client.clients.effects import Flow, Rpc, Stream, limit, work
from heatproof.client.clients.flows.datasets import AnnotationOptions, annotated, message
from heatproof.client.clients.flows.evaluations import ExplainerSource, annotation_options
from heatproof.client.clients.flows.models import CallOptions, name_classes, stored_models
from heatproof.client.clients.progress import ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents import messages
from heatproof.client.documents.annotations import Annotations, AnnotationSources
from heatproof.client.documents.captions import caption
from heatproof.client.documents.images import ImagesSource, NamedImage
from heatproof.client.documents.model_files import ModelSource, ModelSources
from heatproof.client.documents.policies import PreprocessingSource, read_preprocessing
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.documents.targets import TargetSource
from heatproof.v1.class_output_pb2 import ClassOutput
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.explanation_service_pb2 import ExplainRequest, Explanation
from heatproof.v1.explanation_service_pb2_grpc import ExplanationServiceStub
from heatproof.v1.results_pb2 import CleanPrediction

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
    """

    image: str
    explainer: Explainer
    prediction: CleanPrediction
    values: NDArray[np.float32] | None
    undefined: str
    overlay_png: bytes
    class_output: ClassOutput

    @property
    def name(self) -> str:
        """The explainer in words."""
        return caption(self.explainer)


class ExplainOptions(AnnotationOptions, StatementOptions, CallOptions, total=False):
    """Further options: what is known about the images, and these.

    Attributes:
        target: what is explained: `predicted` (the default), `label`, `class:207`,
            `contrast:207,208` or `group:281,282`; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        seed: seed of everything random; 0 by default.
        overlay: whether to draw the map over the image.
    """

    target: TargetSource
    class_names: Sequence[str]
    seed: int
    overlay: bool


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


def _filled(
    request: ExplainRequest, images: Sequence[NamedImage], batch: range, known: Annotations
) -> ExplainRequest:
    filled = ExplainRequest()
    filled.CopyFrom(request)
    filled.images.extend(message(index, images[index], known) for index in batch)
    return filled


def _explained(names: Sequence[str], reply: Explanation) -> ExplainedImage:
    values = None
    if not reply.HasField("undefined"):
        values = np.frombuffer(reply.values.data, "<f4").reshape(reply.values.shape)
    return ExplainedImage(
        image=names[reply.image],
        explainer=reply.explainer,
        prediction=reply.prediction,
        values=values,
        undefined=reply.undefined.detail or reply.undefined.reason,
        overlay_png=reply.overlay_png,
        class_output=reply.class_output,
    )
