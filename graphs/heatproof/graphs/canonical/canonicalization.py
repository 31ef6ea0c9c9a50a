"""From any ONNX image classifier to the one form that the science speaks of."""

import onnx_ir as ir

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.graphs.canonical.batches import free_batch, freed, is_batch_fixed
from heatproof.graphs.canonical.capabilities import Capabilities
from heatproof.graphs.canonical.ending import end_at_logits
from heatproof.graphs.canonical.entry import insert_entry
from heatproof.graphs.canonical.independence import RowComparison, run_alone
from heatproof.graphs.canonical.model import CanonicalModel
from heatproof.graphs.canonical.spatial import last_feature_map
from heatproof.graphs.files.notes import add_notes
from heatproof.graphs.heads.signature import (
    ClassOutput,
    ImageInput,
    Layout,
    find_class_output,
    find_image_input,
)
from heatproof.graphs.preparation import prepared, reshape_input
from heatproof.graphs.preparation.pad_folding import fold_pads
from heatproof.graphs.preparation.repeatability import refuse_unrepeatable
from heatproof.graphs.preparation.shapes.settling import BATCH
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.folding import folds_within_budget

_SETTINGS = SessionSettings()
_SPATIAL_RANK = 4


def canonicalize(
    model: ir.Model,
    preprocessing: Preprocessing,
    stated: Statement | None = None,
    settings: SessionSettings = _SETTINGS,
) -> CanonicalModel:
    """Puts the preprocessing into the graph, frees the batch and ends the graph at the logits.

    The argument is left unchanged; weights are shared with it.

    Args:
        model: a checked model, as `load_model` returns it.
        preprocessing: what the model was trained with.
        stated: what a user says of the class output.
        settings: how the canonical model is run once, to compare the rows of a batch; one that
            may run for ever is compared before its first answer instead.

    Raises:
        UnsupportedModelError: the model has no image input or no one class output, its batch
            dimension cannot be freed, or its answer for an image depends on the others of a batch.
        UnsupportedOperatorError: a node answers differently each time.
        InvalidArgumentError: the preprocessing does not fit the model's input, or what is stated
            contradicts the graph.
    """
    plain = prepared(model)
    image = find_image_input(plain)
    _check_layout(image, preprocessing)
    sized = preprocessing.sized(image.height, image.width)
    size = (sized.height, sized.width)
    _fix_size(plain, image, size)
    output = find_class_output(plain, stated)
    canonical = _from_pixels_to_logits(plain, image, output, preprocessing, size)
    alone = run_alone(canonical.graph)
    add_notes(canonical, alone)
    row_check = _row_check(canonical, settings, is_due=not alone)
    logits = canonical.graph.outputs[0].name or ""
    cam_tensor = last_feature_map(canonical, logits)
    return CanonicalModel(
        model=canonical,
        input_name=image.name,
        logits=logits,
        height=sized.height,
        width=sized.width,
        classes=_classes(canonical.graph.outputs[0]),
        output=output,
        cam_tensor=cam_tensor,
        tensors=frozenset(value.name or "" for node in canonical.graph for value in node.outputs),
        channels=_channels(canonical.graph),
        preprocessing=sized,
        capabilities=Capabilities(canonical, logits),
        row_check=row_check,
        is_run_alone=bool(alone),
    )


def _from_pixels_to_logits(
    model: ir.Model,
    image: ImageInput,
    output: ClassOutput,
    preprocessing: Preprocessing,
    size: tuple[int, int],
) -> ir.Model:
    """Puts both ends on a model; the argument is changed, the result is prepared anew."""
    _end(model, image, output)
    insert_entry(model, image, preprocessing, size)
    canonical = prepared(model)
    fold_pads(canonical)
    refuse_unrepeatable(canonical.graph)
    return canonical


def _check_layout(image: ImageInput, preprocessing: Preprocessing) -> None:
    if preprocessing.layout is not None and preprocessing.layout is not image.layout:
        raise InvalidArgumentError(
            f"preprocessing.layout is {preprocessing.layout}, but the input {image.name!r} is "
            f"{image.layout}; leave it out to find it in the shape",
            field="layout",
        )


def _fix_size(model: ir.Model, image: ImageInput, size: tuple[int, int]) -> None:
    axes = (image.channels, *size) if image.layout is Layout.NCHW else (*size, image.channels)
    reshape_input(model, image.name, [BATCH if image.batch is None else image.batch, *axes])


def _end(model: ir.Model, image: ImageInput, output: ClassOutput) -> None:
    """Ends a graph at its logits, for batches of any size, in place."""
    end_at_logits(model, output)
    _keep_input(model.graph, image.name)
    if is_batch_fixed(image.batch, model.graph.outputs[0]):
        free_batch(model, image.name)
        add_notes(model, [freed(image.batch)])


def _row_check(model: ir.Model, settings: SessionSettings, *, is_due: bool) -> RowComparison:
    """The comparison of rows, done already unless the model may run for ever."""
    row_check = RowComparison(model, settings, is_due=is_due)
    if not _may_run_for_ever(model):
        row_check.run(Cancellation())
    return row_check


def _keep_input(graph: ir.Graph, name: str) -> None:
    """Drops the inputs that nothing reads, but the image."""
    for value in list(graph.inputs):
        if value.name != name and not value.uses():
            graph.inputs.remove(value)


def _may_run_for_ever(model: ir.Model) -> bool:
    """Whether the graph loops or computes too much of constants alone.

    Such a one runs in passes that can be cancelled, never ahead of them.
    """
    if not folds_within_budget(model):
        return True
    nodes = ir.traversal.RecursiveGraphIterator(model.graph)
    return any(node.op_type in ("Loop", "Scan") for node in nodes)


def _channels(graph: ir.Graph) -> dict[str, int]:
    """The second axis of tensors of rank 4, where it is fixed."""
    shapes = {value.name or "": value.shape for node in graph for value in node.outputs}
    channels = {
        name: shape[1]
        for name, shape in shapes.items()
        if shape is not None and shape.rank() == _SPATIAL_RANK
    }
    return {name: size for name, size in channels.items() if isinstance(size, int)}


def _classes(output: ir.Value) -> int:
    size = None if output.shape is None else output.shape[1]
    if not isinstance(size, int):
        raise UnsupportedModelError(
            f"the number of classes in output {output.name!r} {output.shape} is not fixed; export "
            "the model with a fixed one"
        )
    return size
