"""Carries an image, with all that came with it, into the input frames of models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.evaluation.donors import donations, partner_of
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Supplied
from heatproof.evaluators.images.annotations import boxes_of, object_pixels, replacement_of
from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.images.frames import image_to_input, map_to_input
from heatproof.evaluators.images.labels import Label, LabelSet, classes_of
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.queries.label_checks import require_own_probabilities
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation
from heatproof.evaluators.queries.targets import LABEL
from heatproof.evaluators.regions.segmentation import Segmentation, split
from heatproof.evaluators.registry.registry import Reads, Registered, parts_of, reads_deeply


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """An image as models of one input size read it; donors are decoded when they are drawn.

    Attributes:
        pixels: the image.
        replacement: what is shown in its place; None if that did not come, or nobody reads it.
        maps: the caller's maps that some explainer takes, by name.
        boxes: boxes around objects.
        objects: where the object is; None if that did not come.
        donors: other images of the data set.
        same_label_donors: more of its own label.
        other_label_donors: more of other labels.
        partner: the other image of its disjoint pair; None for one that is left over.
    """

    pixels: LazyImage
    replacement: LazyImage | None = None
    maps: Mapping[str, Map] = field(default_factory=dict)
    boxes: tuple[PixelBox, ...] = ()
    objects: Mask | None = None
    donors: tuple[Donation, ...] = ()
    same_label_donors: tuple[Donation, ...] = ()
    other_label_donors: tuple[Donation, ...] = ()
    partner: Donation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """An image that models can be asked about; the pixels of its file are not held any more.

    Attributes:
        index: its place among those that are evaluated together.
        digest: SHA-256 of its bytes.
        display_name: name to show.
        label: the true class, or all that it shows; None if that did not come.
        group: what it has in common with others; "" for none.
        objects_digest: SHA-256 of what says where the object is; "" if nothing does.
        leads_pair: whether it is the one that carries what is scored of its pair.
        inputs: what each model reads.
    """

    index: int
    digest: str
    display_name: str
    label: Label | None
    group: str
    objects_digest: str
    leads_pair: bool
    inputs: Mapping[str, ModelInput]


def prepared(
    spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], index: int, image: SourceImage
) -> PreparedImage:
    """Prepares an image for the models of a spec; segments that are known beforehand are made.

    Args:
        spec: what is evaluated.
        facts: of its models.
        index: of the image among those that are evaluated together.
        image: the image as it came.

    Raises:
        InvalidArgumentError: its label or a map is unusable; the field starts with `images[index]`.
        InvalidImageError: its size cannot become that of an input.
    """
    inputs: dict[str, ModelInput] = {}
    by_size: dict[Preprocessing, ModelInput] = {}
    with placed(f"images[{index}]"):
        for model in spec.models:
            _check_label(spec, image, index, facts[model])
            sized = spec.preprocessing.sized(facts[model].height, facts[model].width)
            if sized not in by_size:
                by_size[sized] = _model_input(spec, image, sized)
            inputs[model] = by_size[sized]
    return PreparedImage(
        index=index,
        digest=image.digest,
        display_name=image.display_name,
        label=image.label,
        group=image.group,
        objects_digest=image.objects_digest,
        leads_pair=image.leads_pair,
        inputs=inputs,
    )


def _check_label(
    spec: EvaluationSpec, image: SourceImage, index: int, facts: PredictorFacts
) -> None:
    name = image.display_name or f"images[{index}]"
    if not classes_of(image.label) and spec.target == LABEL:
        raise InvalidArgumentError(
            f"{name} has no label, but the label is to be explained: "
            "give it one, or explain the predicted class",
            field="label",
        )
    strange = [held for held in classes_of(image.label) if not 0 <= held < facts.classes]
    if strange:
        raise InvalidArgumentError(
            f"{name} has the label {strange[0]}, but the model has "
            f"the classes 0 to {facts.classes - 1}",
            field="label",
        )
    if isinstance(image.label, LabelSet):
        require_own_probabilities(facts, name, "label")


def _model_input(spec: EvaluationSpec, image: SourceImage, sized: Preprocessing) -> ModelInput:
    pixels, replacement = _pixels(spec, image, sized)
    boxes = boxes_of(image, sized)
    for segmentation in _segmentations(spec, has_boxes=bool(boxes)):
        split(segmentation, pixels.key, pixels.draw, boxes)  # which remembers what it has split
    return ModelInput(
        pixels=pixels,
        replacement=replacement,
        maps=_supplied(spec, image, sized),
        boxes=boxes,
        objects=object_pixels(image, boxes, sized),
        donors=donations(image.donors, sized),
        same_label_donors=donations(image.same_label_donors, sized),
        other_label_donors=donations(image.other_label_donors, sized),
        partner=partner_of(image, sized),
    )


def _pixels(
    spec: EvaluationSpec, image: SourceImage, sized: Preprocessing
) -> tuple[LazyImage, LazyImage | None]:
    """The image, and what is shown in its place if a removal operator of the spec shows it."""
    pixels = LazyImage.of(image_to_input(image.pixels, sized))
    if not any(reads_deeply(one, Reads.REPLACEMENT) for one in spec.registered):
        return pixels, None
    found = replacement_of(image, sized)
    replacement = None if found is None else LazyImage.of(found)
    return pixels.shown_with(replacement), replacement


def _supplied(spec: EvaluationSpec, image: SourceImage, sized: Preprocessing) -> dict[str, Map]:
    """The caller's maps that some explainer takes, in the input frame."""
    wanted = {part.map_name for part in _parts(spec) if isinstance(part, Supplied)}
    maps: dict[str, Map] = {}
    for place, (name, attribution) in enumerate(image.attribution_maps.items()):
        if name in wanted:
            with placed(f"attribution_maps[{place}]"):
                maps[name] = map_to_input(attribution, image.extents, sized)
    return maps


def _segmentations(spec: EvaluationSpec, *, has_boxes: bool) -> Iterator[Segmentation]:
    """How metrics and explainers split the image, those left out that lack its boxes."""
    for part in dict.fromkeys(_parts(spec)):
        if isinstance(part, Segmentation) and (has_boxes or Reads.BOXES not in part.reads):
            yield part


def _parts(spec: EvaluationSpec) -> Iterator[Registered]:
    return chain.from_iterable(map(parts_of, (*spec.explainers, *spec.metrics)))
