"""What a spec asks of its models and images, held against what these are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedOperatorError, placed
from heatproof.evaluators.evaluation.donors import labelled_donors_read
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer, Supplied
from heatproof.evaluators.images.inventory import Inventory, Presence
from heatproof.evaluators.metrics import Case, Metric
from heatproof.evaluators.queries.label_checks import check_labels
from heatproof.evaluators.queries.passes import IMAGE, Capability, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.targets import LABEL, Target
from heatproof.evaluators.registry.parameters import check_parameters
from heatproof.evaluators.registry.registry import Reads, Registered, parts_of, reads_deeply
from heatproof.evaluators.removal import RemovalOperator

_LISTS: Final[Mapping[str, tuple[str, Callable[[Metric], bool]]]] = {
    "explainers": ("explainer", lambda metric: metric.takes_explainer),
    "removals": ("removal", lambda metric: metric.takes_removal),
}
"""The fields of a spec that metrics are combined with: one of them in words, and who takes it."""

_SMALLEST_PANEL: Final = 2
_OF_IMAGES: Final = frozenset(
    {Reads.OBJECTS, Reads.BOXES, Reads.LABEL, Reads.MAPS, Reads.DONORS, Reads.REPLACEMENT}
)


def require_complete(spec: EvaluationSpec) -> None:
    """Refuses a spec that scores nothing, or whose metrics lack what they are combined with.

    Raises:
        InvalidArgumentError: at the field that is empty, or `units` is negative.
    """
    if spec.units < 0:
        raise InvalidArgumentError(
            f"units must be at least 0, not {spec.units}; 0 evaluates all", field="units"
        )
    if not spec.metrics:
        raise InvalidArgumentError("metrics is empty: name at least one metric", field="metrics")
    for field, (one, takes) in _LISTS.items():
        wanting = [metric.name for metric in spec.metrics if takes(metric)]
        if wanting and not getattr(spec, field):
            raise InvalidArgumentError(
                f"{wanting[0]} needs {field}: name at least one {one}", field=field
            )


def check_use(spec: EvaluationSpec) -> None:
    """Refuses explainers and removal operators that no result would have.

    Raises:
        InvalidArgumentError: at `explainers` or `removals`.
    """
    for field, (_, takes) in _LISTS.items():
        is_read = any(map(takes, spec.metrics))
        is_drawn = field == "explainers" and spec.keep_overlays
        if getattr(spec, field) and not is_read and not is_drawn:
            raise InvalidArgumentError(
                f"none of the metrics reads {field}, so no result would have one: leave {field} "
                "out, or name a metric that needs them",
                field=field,
            )


def check_panels(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts]) -> None:
    """Refuses to compare one model, models of other classes, or maps of inputs of several sizes.

    Raises:
        InvalidArgumentError: at the metric, or at its parameter that asks for the panel.
    """
    check_panel_counts(spec)
    models = [facts[model] for model in spec.models]
    for metric, read, path in _panels(spec):
        with placed(path):
            _PANEL_CHECKS[read](metric, models)


def check_evaluator(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts]) -> None:
    """Refuses an evaluator that nothing asks, or that cannot judge the maps of the models.

    Raises:
        InvalidArgumentError: at `evaluator_model`.
    """
    if not spec.evaluator_model:
        return
    if not any(metric.takes_evaluator for metric in spec.metrics):
        raise InvalidArgumentError(
            "none of the metrics asks another model: an evaluator answers metrics that hide "
            "regions in the order of a map and make no map anew, such as "
            "single_deletion_correlation; leave evaluator_model out, or name one of these",
            field="evaluator_model",
        )
    evaluator = facts[spec.evaluator_model]
    own = (evaluator.height, evaluator.width, evaluator.classes)
    for model in (facts[name] for name in spec.models):
        if (model.height, model.width, model.classes) != own:
            raise InvalidArgumentError(
                f"{evaluator.model} reads {own[0]} x {own[1]} pixels and has {own[2]} classes, "
                f"{model.model} {model.height} x {model.width} and {model.classes}: an evaluator "
                "judges maps of its own input size and classes",
                field="evaluator_model",
            )


def check_panel_counts(spec: EvaluationSpec) -> None:
    """Refuses to compare a panel of fewer than two models.

    Raises:
        InvalidArgumentError: as `check_panels`.
    """
    for metric, read, path in _panels(spec):
        if len(spec.models) < _SMALLEST_PANEL:
            asked = metric.asked_by(read)
            subject = f"{metric.name} with this {asked}" if asked else metric.name
            raise InvalidArgumentError(
                f"{subject} compares models, and there are {len(spec.models)}: name at least "
                f"{_SMALLEST_PANEL} in models, of different bytes (a gate takes the other one as "
                "its baseline)",
                field=path,
            )


def _panels(spec: EvaluationSpec) -> Iterator[tuple[Metric, Reads, str]]:
    """Metrics that read a panel, what they read of it, and what asks for it."""
    for index, metric in enumerate(spec.metrics):
        for read in (one for one in _PANEL_CHECKS if one in metric.reads):
            parts = (f"metrics[{index}]", metric.name, metric.asked_by(read))
            yield metric, read, ".".join(part for part in parts if part)


def _check_classes(metric: Metric, models: Sequence[PredictorFacts]) -> None:
    first = models[0]
    for other in models:
        if other.classes != first.classes:
            raise InvalidArgumentError(
                f"{metric.name} asks all models about one class, but {first.model} has "
                f"{first.classes} classes and {other.model} has {other.classes}: compare models of "
                "the same classes (inputs may differ in size)",
            )


def _check_frames(metric: Metric, models: Sequence[PredictorFacts]) -> None:
    first = models[0]
    for other in models:
        if (other.height, other.width) != (first.height, first.width):
            raise InvalidArgumentError(
                f"{metric.name} lays the maps of all models over each other, but {first.model} "
                f"reads {first.height} x {first.width} pixels and {other.model} "
                f"{other.height} x {other.width}: compare models of one input size, or by what "
                "needs no other model's map",
            )


_PANEL_CHECKS: Final[Mapping[Reads, Callable[[Metric, Sequence[PredictorFacts]], None]]] = (
    MappingProxyType(
        {
            Reads.PANEL: _check_classes,
            Reads.PANEL_TARGETS: _check_classes,
            Reads.PANEL_MAPS: _check_frames,
        }
    )
)


def check_inventory(
    spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], inventory: Inventory
) -> None:
    """Refuses a spec that reads what did not come with the images, and labels that are no class.

    Raises:
        InvalidArgumentError: at what reads it, or at `dataset`.
    """
    for model in spec.models:
        check_labels(facts[model], inventory)
        check_target(spec.target, facts[model])
    if spec.target == LABEL:
        _check_labels("target label", "or explain the predicted class", "target", inventory)
        _check_shown(inventory)
    for index, metric in enumerate(spec.metrics):
        field = f"metrics[{index}].{metric.name}"
        if Reads.LABEL in metric.reads:
            _check_labels(metric.name, f"or leave {metric.name} out", field, inventory)
        if Reads.OBJECTS in metric.reads:
            _check_objects(metric, field, inventory)
        _check_brought(metric, field, inventory)
        _check_labelled_donors(metric, field, inventory)
    for index, explainer in enumerate(spec.explainers):
        _check_brought(explainer, f"explainers[{index}].{explainer.name}", inventory)
    for index, removal in enumerate(spec.removals):
        _check_brought(removal, f"removals[{index}].{removal.name}", inventory)


def reads_of_images(spec: EvaluationSpec) -> tuple[Reads, ...]:
    """What a spec reads of images beside their pixels, in the order of `Reads`."""
    read = {read for thing in spec.registered for part in parts_of(thing) for read in part.reads}
    if spec.target == LABEL or labelled_donors_read(spec.registered):
        read.add(Reads.LABEL)
    return tuple(one for one in Reads if one in read & _OF_IMAGES)


def check_target(target: Target, facts: PredictorFacts) -> None:
    """Refuses a target that a model does not have.

    Raises:
        InvalidArgumentError: at `target`.
    """
    with placed("target"):
        target.check(facts.classes)


def _check_labels(reader: str, way_out: str, field: str, inventory: Inventory) -> None:
    if (unlabelled := inventory.labels.first_without) is not None:
        raise InvalidArgumentError(
            f"{reader} needs a label for every image; {_lacking(inventory, inventory.labels)} "
            f"have none, {unlabelled!r} first: label them, {way_out}",
            field=field,
        )


def _check_objects(metric: Metric, field: str, inventory: Inventory) -> None:
    if not inventory.objects.count and not inventory.boxes.count:
        raise InvalidArgumentError(
            f"{metric.name} reads object masks or boxes, and none of {inventory.images} images has "
            f"one: send masks (--masks) or boxes (--boxes), or leave {metric.name} out",
            field=field,
        )


def _check_labelled_donors(metric: Metric, field: str, inventory: Inventory) -> None:
    if labelled_donors_read([metric]) and not inventory.labels.count:
        raise InvalidArgumentError(
            f"{metric.name} chooses other images by their labels, and none of {inventory.images} "
            f"images has one: label them, or leave {metric.name} out",
            field=field,
        )


def _check_shown(inventory: Inventory) -> None:
    """Refuses to explain the classes of images that show none."""
    if (empty := inventory.shown.first_without) is not None:
        raise InvalidArgumentError(
            f"target label explains the classes that an image shows, and "
            f"{_lacking(inventory, inventory.shown)} show none, {empty!r} first: leave them out, "
            "or explain the predicted class",
            field="target",
        )


def _check_brought(reader: Registered, field: str, inventory: Inventory) -> None:
    """Refuses what reads boxes, maps or replacements that did not come, deep in a parameter too."""
    _check_boxes(reader, field, inventory)
    _check_supplied(reader, field, inventory)
    _check_replacements(reader, field, inventory)


def _check_replacements(reader: Registered, field: str, inventory: Inventory) -> None:
    found = inventory.replacements
    if found.first_without is not None and reads_deeply(reader, Reads.REPLACEMENT):
        raise InvalidArgumentError(
            f"{reader.name} shows the replacement of every image, and "
            f"{_lacking(inventory, found)} images came without one, {found.first_without!r} "
            "first: send one with every image (--replacements), or choose another operator, such "
            "as blur",
            field=field,
        )


def _check_boxes(reader: Registered, field: str, inventory: Inventory) -> None:
    if reads_deeply(reader, Reads.BOXES) and not inventory.boxes.count:
        raise InvalidArgumentError(
            f"{reader.name} splits images by their boxes, and none of {inventory.images} images "
            "has one: send boxes with the images, or choose other regions",
            field=field,
        )


def _check_supplied(reader: Registered, field: str, inventory: Inventory) -> None:
    for part in parts_of(reader):
        if isinstance(part, Supplied):
            with placed(field):
                _check_maps(part.map_name, inventory)


def _check_maps(name: str, inventory: Inventory) -> None:
    found = inventory.with_map(name)
    if found.first_without is None:
        return
    known = ", ".join(map(repr, inventory.maps)) or "none"
    raise InvalidArgumentError(
        f"{_lacking(inventory, found)} images came without a map named {name!r}, "
        f"{found.first_without!r} first; names of maps that came: {known}. Send a map with every "
        "image, or leave these images or the explainer supplied out",
        field="map_name",
    )


def _lacking(inventory: Inventory, presence: Presence) -> str:
    return f"{inventory.images - presence.count} of {inventory.images}"


def check_explainers(explainers: Sequence[Explainer], facts: PredictorFacts) -> None:
    """Refuses explainers whose parameters are wrong or that the model cannot serve.

    Raises:
        InvalidArgumentError: at a path such as `explainers[1].rise.masks`.
        UnsupportedOperatorError: the model cannot run a pass that is asked.
    """
    for index, explainer in enumerate(explainers):
        with placed(f"explainers[{index}].{explainer.name}"):
            check_parameters(explainer)
            _check_passes(explainer, explainer.passes(facts), facts)
            explainer.check(facts)


def check_removals(removals: Sequence[RemovalOperator], facts: PredictorFacts) -> None:
    """Refuses removal operators as `check_explainers` does explainers."""
    for index, removal in enumerate(removals):
        with placed(f"removals[{index}].{removal.name}"):
            check_parameters(removal)
            _check_passes(removal, (), facts)


def check_metric(
    metric: Metric, facts: PredictorFacts, cases: Iterable[tuple[Case, Explainer | None]]
) -> None:
    """Refuses a metric as `check_explainers` does explainers, in all its combinations.

    Args:
        metric: the metric.
        facts: the model.
        cases: what it will be scored with, each with its explainer.
    """
    check_parameters(metric)
    _check_passes(metric, metric.passes(facts), facts)
    for case, explainer in cases:
        if Reads.EXPLAINER in metric.reads and explainer and Reads.MAPS in explainer.reads:
            raise InvalidArgumentError(
                f"{metric.name} makes every map anew, which {explainer.name} cannot: choose "
                "another explainer for it"
            )
        metric.check(case)


def _check_passes(thing: Registered, passes: Iterable[ModelPass], facts: PredictorFacts) -> None:
    """Refuses passes that the model cannot run, those of operators inside a thing included."""
    for run in (*passes, *_operator_passes(thing, facts.model)):
        shortfall = facts.supports(run)
        if shortfall is not None:
            raise UnsupportedOperatorError(
                f"{thing.name} needs {shortfall.capability}, which {facts.model} lacks: "
                f"{shortfall.reason}",
                metadata={"model": facts.model, "capability": shortfall.capability},
            )


def _operator_passes(thing: Registered, model: str) -> Iterator[ModelPass]:
    """What removal operators in a thing ask of the model."""
    for part in parts_of(thing):
        if isinstance(part, RemovalOperator) and part.masking is not None:
            yield ModelPass(model, masking=part.masking)
        if Reads.COUNTERPART in part.reads:
            yield ModelPass(model, wrt=IMAGE)


def capabilities_of(kind: type[Registered]) -> tuple[Capability, ...]:
    """What a model must be able to do for a registered class with its defaults."""
    thing = kind()
    own = thing.passes(_ANY_MODEL) if isinstance(thing, Explainer | Metric) else ()
    passes = (*own, *_operator_passes(thing, _ANY_MODEL.model))
    return tuple(dict.fromkeys(asked for run in passes for asked in run.capabilities))


_ANY_MODEL: Final = PredictorFacts(
    model="any",
    height=224,
    width=224,
    classes=1000,
    probabilities="softmax",
    batch_size=2,
    cam_tensor="features",
    layers=("layer",),
    channels={"features": 2048},
)
"""Stands for a model that can do everything, to learn what passes are asked of it."""
