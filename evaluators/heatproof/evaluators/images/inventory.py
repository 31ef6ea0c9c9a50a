"""What comes with the images of an evaluation, known before any of them is decoded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from heatproof.evaluators.images.labels import Label, LabelSet, classes_of


@dataclass(frozen=True, slots=True)
class KnownImage:
    """What is known about one image.

    Attributes:
        display_name: name to show.
        label: true class, or all that it shows, if given.
        has_object: whether it has an object mask.
        has_boxes: whether it has a box.
        has_replacement: whether it has an image to be shown in its place.
        maps: names of the attribution maps that came with it.
    """

    display_name: str
    label: Label | None = None
    has_object: bool = False
    has_boxes: bool = False
    has_replacement: bool = False
    maps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Presence:
    """How many images have something.

    Attributes:
        count: images that have it.
        first_without: name of the first image that lacks it; None if all have it.
    """

    count: int
    first_without: str | None

    @classmethod
    def of(cls, images: Iterable[tuple[str, bool]]) -> "Presence":
        """Counts; each image is given by its name and whether it has the thing."""
        found = tuple(images)
        lacking = next((name for name, present in found if not present), None)
        return cls(sum(present for _, present in found), lacking)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What comes with the images of an evaluation.

    Attributes:
        images: number of images.
        first: name of the first image; None if there is none.
        labels: how many have a label.
        shown: how many have one that names a class.
        sets: how many have a set of classes.
        objects: how many have an object mask.
        boxes: how many have a box.
        replacements: how many have an image to be shown in their place.
        maps: how many have a map of a name, by the name.
        highest_label: the highest class index that labels an image, and the name of the first
            image that has it; None without labels.
    """

    images: int
    first: str | None
    labels: Presence
    shown: Presence
    sets: Presence
    objects: Presence
    boxes: Presence
    replacements: Presence
    maps: Mapping[str, Presence] = field(default_factory=dict)
    highest_label: tuple[int, str] | None = None

    @classmethod
    def of(cls, images: Iterable[KnownImage]) -> "Inventory":
        """Takes stock of images."""
        known = tuple(images)
        names = sorted({name for image in known for name in image.maps})
        labelled = [
            (max(held), one.display_name) for one in known if (held := classes_of(one.label))
        ]
        return cls(
            images=len(known),
            first=known[0].display_name if known else None,
            labels=Presence.of((image.display_name, image.label is not None) for image in known),
            shown=Presence.of((one.display_name, bool(classes_of(one.label))) for one in known),
            sets=Presence.of((one.display_name, isinstance(one.label, LabelSet)) for one in known),
            objects=Presence.of((image.display_name, image.has_object) for image in known),
            boxes=Presence.of((image.display_name, image.has_boxes) for image in known),
            replacements=Presence.of((one.display_name, one.has_replacement) for one in known),
            maps={
                name: Presence.of((image.display_name, name in image.maps) for image in known)
                for name in names
            },
            highest_label=max(labelled, key=lambda found: found[0], default=None),
        )

    def with_map(self, name: str) -> Presence:
        """How many images have a map of this name."""
        return self.maps.get(name, Presence(0, self.first))
