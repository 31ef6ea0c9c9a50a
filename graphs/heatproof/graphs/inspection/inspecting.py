"""Describes a model: what it holds and what can be done with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.evaluators.errors import FailedPreconditionError, UnsupportedModelError
from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.graphs.canonical.batches import free_batch, freed, is_batch_fixed
from heatproof.graphs.canonical.ending import end_at_logits
from heatproof.graphs.canonical.independence import run_alone
from heatproof.graphs.canonical.spatial import feature_maps, last_feature_map
from heatproof.graphs.files.notes import Note, notes_of
from heatproof.graphs.gradients import check_rectifiers, gradient_blockers
from heatproof.graphs.heads.choosing import candidates
from heatproof.graphs.heads.class_names import class_names_of
from heatproof.graphs.heads.signature import (
    ClassOutput,
    ImageInput,
    Layout,
    find_class_output,
    find_image_input,
)
from heatproof.graphs.inspection.receptive import ReceptiveField, receptive_fields
from heatproof.graphs.inspection.work import multiply_adds
from heatproof.graphs.masking import masking_blockers
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.preparation import prepared, reshape_input
from heatproof.graphs.preparation.opsets import ready
from heatproof.graphs.preparation.repeatability import refuse_unrepeatable, unrepeatable

MAX_BLOCKERS = 20
PROBED_SIDE = 224
"""Side at which a model of dynamic size is probed for blockers, in pixels."""

_WEIGHTS = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE}
    | {ir.DataType.INT8, ir.DataType.UINT8}
)


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """An input or output of a graph.

    Attributes:
        name: name in the graph.
        data_type: element type as ONNX writes it, such as `FLOAT`.
        shape: extents: a number, or a symbol where dynamic.
    """

    name: str
    data_type: str
    shape: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CamTensor:
    """A spatial tensor.

    Attributes:
        name: name in the graph.
        channels: number of channels; 0 if dynamic.
        height: height in cells; 0 if dynamic.
        width: width in cells; 0 if dynamic.
        is_default: whether it is the last feature map before the global pool.
        field_height: rows of the image that one cell sees; 0 if that is not known.
        field_width: columns of the image that one cell sees, likewise.
    """

    name: str
    channels: int
    height: int
    width: int
    is_default: bool
    field_height: int
    field_width: int


@dataclass(frozen=True, slots=True)
class ClassCandidate:
    """An output that may hold class scores; fields as in the message of the same name.

    Attributes:
        output: its name.
        copies: names of the outputs that hold the same values.
        classes: number of classes; 0 if dynamic; 2 for one value an image.
        activation: what its values are as far as the graph shows; "" if it shows nothing.
        is_chosen: whether it is the class output.
    """

    output: str
    copies: tuple[str, ...]
    classes: int
    activation: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a rewrite covers a graph.

    Attributes:
        supported: whether every operator has a rule.
        blockers: the first blocking nodes, at most `MAX_BLOCKERS`.
    """

    supported: bool
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a graph holds and what Heatproof can do with it.

    Attributes:
        inputs: the graph's inputs, in order, but for weights that are listed as inputs.
        outputs: the graph's outputs, in order.
        image_input: name of the input that takes images; "" if there is none.
        class_output: name of the output that holds class scores; "" if there is none.
        classes: number of classes; 0 if dynamic.
        logits: name of the tensor with the logits behind the class output.
        activation: what turns logits into the class output.
        layout: layout of the image input; "" if there is none.
        opsets: versions of the operator sets by domain.
        producer: the exporter, as the file names it.
        nodes: number of nodes, subgraphs included.
        parameters: number of weights.
        multiply_adds: of one image of `height` and `width`; 0 if that does not settle all sizes.
        cam_tensors: feature maps, from input to output.
        layer_masking: whether layer masking covers the graph.
        gradients: whether gradients cover the graph.
        activation_gradients: whether they cover what lies behind the default of `cam_tensors`.
        rectified_gradients: whether they cover the graph and it has rectifiers, Relu or Clip from
            0, of which some explainers change the gradient.
        height: rows of the image at which the five above hold; 0 if there is no image input.
        width: columns, likewise.
        probed: whether the graph leaves that size open, so that it is ours.
        notes: what was left out of the model or changed in it, in sentences.
        class_candidates: outputs that may hold class scores.
        class_output_decision: how class output and activation were decided, or why there is none.
        class_names: names of the classes by index; () if the file does not name each.
        shortcoming: why no classifier can be made of the model, though both ends are known.
    """

    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    image_input: str
    class_output: str
    classes: int
    logits: str
    activation: str
    layout: str
    opsets: Mapping[str, int]
    producer: str
    nodes: int
    parameters: int
    multiply_adds: int
    cam_tensors: tuple[CamTensor, ...]
    layer_masking: Support
    gradients: Support
    activation_gradients: Support
    rectified_gradients: Support
    height: int
    width: int
    probed: bool
    notes: tuple[str, ...] = ()
    class_candidates: tuple[ClassCandidate, ...] = ()
    class_output_decision: str = ""
    shortcoming: str = ""
    class_names: tuple[str, ...] = ()


def inspect(model: ir.Model, stated: Statement | None = None) -> ModelFacts:
    """Describes a checked model, classifier or not; rewrites are tried on the model as given.

    A model of dynamic size is described at `PROBED_SIDE`.

    Args:
        model: the model.
        stated: what a user says of the class output.

    Raises:
        InvalidArgumentError: what is stated contradicts the graph.
    """
    plain = prepared(model)
    image = _image_input(plain)
    height, width = _size(image)
    probe = _probe(plain, image, (height, width))
    recent = _recent(probe)
    output, decision = _class_output(probe, stated)
    logits = output.logits if output else None
    cam_tensors = _cam_tensors(probe, output, receptive_fields(recent))
    shortcoming, freeing = _freeing(probe, image, output)
    shortcoming = shortcoming or _differing(probe, output)
    alone = run_alone(plain.graph)
    gradients = _support(lambda: gradient_blockers(recent, of=logits, plain=True))
    return ModelFacts(
        inputs=tuple(_info(value) for value in model.graph.inputs if not value.is_initializer()),
        outputs=tuple(map(_info, model.graph.outputs)),
        image_input=image.name if image else "",
        class_output=output.name if output else "",
        classes=(output.classes or 0) if output else 0,
        logits=output.logits if output else "",
        activation=output.activation if output else "",
        layout=image.layout if image else "",
        opsets={domain or "ai.onnx": version for domain, version in model.opset_imports.items()},
        producer=f"{model.producer_name or ''} {model.producer_version or ''}".strip(),
        nodes=sum(1 for _ in model.graph.all_nodes()),
        parameters=_parameters(plain),
        multiply_adds=_multiply_adds(probe, image, (height, width)),
        cam_tensors=cam_tensors,
        layer_masking=_support(lambda: masking_blockers(recent, plain=True)),
        gradients=gradients,
        activation_gradients=_behind(recent, logits, cam_tensors, gradients),
        rectified_gradients=_rectified(recent, logits, gradients),
        height=height,
        width=width,
        probed=probe is not plain,
        notes=tuple(note.text for note in (*notes_of(plain), *alone, *freeing)),
        class_candidates=_candidates(probe, output),
        class_output_decision=decision,
        shortcoming=shortcoming,
        class_names=class_names_of(model.metadata_props, (output.classes or 0) if output else 0),
    )


def _image_input(model: ir.Model) -> ImageInput | None:
    try:
        return find_image_input(model)
    except UnsupportedModelError:
        return None


def _class_output(model: ir.Model, stated: Statement | None) -> tuple[ClassOutput | None, str]:
    """The class output, if there is one choice, and why it is or is not."""
    try:
        found = find_class_output(model, stated)
    except UnsupportedModelError as error:
        return None, error.message
    return found, found.decision


def _freeing(
    model: ir.Model, image: ImageInput | None, output: ClassOutput | None
) -> tuple[str, tuple[Note, ...]]:
    """Why `canonicalize` refuses a model of known ends, as far as its structure tells.

    With it what a user must know of a batch dimension that is freed.
    """
    if image is None or output is None:
        return "", ()
    if output.classes is None:
        return (
            f"the number of classes in output {output.name!r} is not fixed; export it with one",
            (),
        )
    chosen = next(value for value in model.graph.outputs if value.name == output.name)
    if not is_batch_fixed(image.batch, chosen):
        return "", ()
    copy = model.clone()
    try:
        end_at_logits(copy, output)
        free_batch(copy, image.name)
    except UnsupportedModelError as error:
        return error.message, ()
    return "", (freed(image.batch),)


def _differing(model: ir.Model, output: ClassOutput | None) -> str:
    """Why the scores of a model differ each time or by its batch; "" if nothing shows that."""
    if output is None or not unrepeatable(model.graph):
        return ""
    copy = model.clone()
    try:
        end_at_logits(copy, output)
        common.RemoveUnusedNodesPass()(copy)
        refuse_unrepeatable(copy.graph)
    except FailedPreconditionError as error:
        return error.message
    return ""


def _candidates(model: ir.Model, output: ClassOutput | None) -> tuple[ClassCandidate, ...]:
    chosen = output.name if output else ""
    return tuple(
        ClassCandidate(
            output=found.name,
            copies=found.copies,
            classes=found.classes or 0,
            activation=found.scores.kind if found.scores else "",
            is_chosen=chosen in (found.name, *found.copies),
        )
        for found in candidates(model)
    )


def _size(image: ImageInput | None) -> tuple[int, int]:
    """The image's own height and width, or those at which it is probed; (0, 0) for no image."""
    return (image.height or PROBED_SIDE, image.width or PROBED_SIDE) if image else (0, 0)


def _probe(model: ir.Model, image: ImageInput | None, sides: tuple[int, int]) -> ir.Model:
    """The model itself, or a copy of static size."""
    if image is None or (image.height and image.width):
        return model
    return prepared(_fixed(model, image, "N" if image.batch is None else image.batch, sides))


def _fixed(
    model: ir.Model, image: ImageInput, batch: int | str, sides: tuple[int, int]
) -> ir.Model:
    """A copy for images of one size."""
    axes = (image.channels, *sides) if image.layout is Layout.NCHW else (*sides, image.channels)
    copy = model.clone()
    reshape_input(copy, image.name, [batch, *axes])
    return copy


def _recent(model: ir.Model) -> ir.Model:
    """The model as rewrites take it, or itself where it cannot be brought to their opset."""
    try:
        return ready(model, plain=True)
    except UnsupportedModelError:  # each rewrite says so
        return model


def _multiply_adds(model: ir.Model, image: ImageInput | None, sides: tuple[int, int]) -> int:
    if image is None or image.batch is not None:
        return multiply_adds(model, image.batch or 1 if image else 1)
    fixed = _fixed(model, image, 1, sides)
    return multiply_adds(fixed, 1) or multiply_adds(prepared(fixed), 1)


def _info(value: ir.Value) -> ValueInfo:
    dims = () if value.shape is None else value.shape
    return ValueInfo(
        name=value.name or "",
        data_type="" if value.dtype is None else value.dtype.name,
        shape=tuple(str(dim if isinstance(dim, int) else dim.value or "?") for dim in dims),
    )


def _parameters(model: ir.Model) -> int:
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return sum(tensor.size for tensor in tensors if tensor and tensor.dtype in _WEIGHTS)


def _cam_tensors(
    model: ir.Model, output: ClassOutput | None, fields: Mapping[str, ReceptiveField]
) -> tuple[CamTensor, ...]:
    last = last_feature_map(model, output.logits) if output else ""
    unknown = ReceptiveField(0, 0)
    return tuple(
        CamTensor(
            name=found.name,
            channels=found.channels,
            height=found.height,
            width=found.width,
            is_default=found.name == last,
            field_height=fields.get(found.name, unknown).height,
            field_width=fields.get(found.name, unknown).width,
        )
        for found in feature_maps(model)
    )


def _behind(
    model: ir.Model, logits: str | None, cam_tensors: Sequence[CamTensor], whole: Support
) -> Support:
    """Whether gradients cover what lies behind the default tensor for class activation maps."""
    default = next((tensor.name for tensor in cam_tensors if tensor.is_default), None)
    if whole.supported or default is None:
        return whole
    return _support(lambda: gradient_blockers(model, of=logits, wrt=default, plain=True))


def _rectified(model: ir.Model, logits: str | None, whole: Support) -> Support:
    """Whether the graph is differentiated and has rectifiers."""
    if not whole.supported:
        return whole

    def find() -> tuple[Blocker, ...]:
        check_rectifiers(model, of=logits, plain=True)
        return ()

    return _support(find)


def _support(find: Callable[[], tuple[Blocker, ...]]) -> Support:
    try:
        blockers = find()
    except FailedPreconditionError as error:
        blockers = (Blocker(node="", operator="", reason=error.message),)
    return Support(supported=not blockers, blockers=blockers[:MAX_BLOCKERS])
