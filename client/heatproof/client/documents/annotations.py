"""What is known about images: labels, groups, masks, boxes, maps and replacements."""

from __future__ import annotations  # `Frame.ValueType` exists for type checkers only

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from heatproof.client.documents.attribution_maps import (
    ByImage,
    MapsSource,
    attribution_map,
    map_sets,
)
from heatproof.client.documents.images import (
    ImageSource,
    NamedImage,
    images_by_stem,
    only_image,
)
from heatproof.client.documents.presenting import PathText
from heatproof.client.documents.reading.annotation_files import (
    CORNERS,
    read_box_file,
    read_label_file,
)
from heatproof.client.errors import PartialAnnotationsWarning, UsageError
from heatproof.v1.image_pb2 import (
    FRAME_MODEL_INPUT,
    FRAME_SOURCE,
    AttributionMap,
    Box,
    Frame,
    Image,
    ObjectMask,
    ReplacementImage,
)
from heatproof.v1.tensor_pb2 import DATA_TYPE_UINT8, Tensor

Value = TypeVar("Value")

LabelsSource: TypeAlias = PathText | ByImage[int | Collection[int]]
"""Labels: a CSV file with the columns `file,label`, or `file,labels` with several classes an image
as `1;4`, and `group` if images have something in common; or by image a class index, or the indices
of all classes that it shows."""

GroupsSource: TypeAlias = ByImage[str]
"""What images have in common: names of patients, scenes or cameras by image."""

MasksSource: TypeAlias = PathText | ByImage[NDArray[Any] | bytes]
"""Object masks: a folder of PNG files by stem, or arrays [height, width] or PNG bytes by image."""

BoxRows: TypeAlias = Sequence[Sequence[float]] | NDArray[Any]
"""Left, top, right and bottom of each box: pixel columns [left, right) and rows [top, bottom)."""

BoxesSource: TypeAlias = PathText | ByImage[BoxRows]
"""Boxes: a CSV file with the columns `file,left,top,right,bottom`, or rows by image."""

ReplacementsSource: TypeAlias = PathText | ByImage[ImageSource]
"""Replacements: a folder of image files by stem, or images of any kind by image."""

FRAMES: Final[dict[str, Frame.ValueType]] = {
    "source": FRAME_SOURCE,
    "model_input": FRAME_MODEL_INPUT,
}
"""Frames by their short names."""

_SHOWN: Final = 3
"""Images that a warning names."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """Values by the index of their image.

    Attributes:
        labels: class indices, or those of all classes that an image shows.
        masks: object masks.
        maps: attribution maps.
        groups: what images have in common.
        boxes: boxes around objects.
        replacements: what makes the images that are shown in place of these, each when its turn
            comes.
    """

    labels: Mapping[int, int | Collection[int]] = field(default_factory=dict)
    masks: Mapping[int, ObjectMask] = field(default_factory=dict)
    maps: Mapping[int, Sequence[AttributionMap]] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    boxes: Mapping[int, Sequence[Box]] = field(default_factory=dict)
    replacements: Mapping[int, Callable[[], ReplacementImage]] = field(default_factory=dict)

    def at(self, places: Sequence[int]) -> Annotations:
        """What is known about the images at some places, by their place among these."""
        kept = {
            each.name: {
                new: held[old]
                for new, old in enumerate(places)
                if old in (held := getattr(self, each.name))
            }
            for each in fields(self)
        }
        return Annotations(**kept)

    def add(self, index: int, image: Image) -> Image:
        """Adds what is known about image `index` to its message."""
        if index in self.labels:
            _add_label(image, self.labels[index])
        if index in self.masks:
            image.object_mask.CopyFrom(self.masks[index])
        if index in self.maps:
            image.attribution_maps.extend(self.maps[index])
        if index in self.groups:
            image.group = self.groups[index]
        if index in self.replacements:
            image.replacement.CopyFrom(self.replacements[index]())
        image.boxes.extend(self.boxes.get(index, ()))
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSources:
    """Where labels, masks, maps, groups, boxes and replacements come from.

    Attributes:
        labels: class indices, or those of all classes that an image shows; their file may hold
            the groups too.
        masks: object masks, non-zero is object.
        maps: attribution maps for the explainer `supplied`.
        masks_frame: `source` (the image, upright) or `model_input` (after resize and crop).
        maps_frame: likewise.
        groups: what images have in common (patient, scene, camera): one of every image, or none;
            statistics then count groups and not images.
        boxes: boxes around objects, for `regions` that are `boxes`.
        boxes_frame: as `masks_frame`.
        replacements: what the removal operator `replacement` shows, such as a background painted
            by a generative model.
        replacements_frame: as `masks_frame`.
    """

    labels: LabelsSource | None = None
    masks: MasksSource | None = None
    maps: MapsSource | None = None
    masks_frame: str = "source"
    maps_frame: str = "model_input"
    groups: GroupsSource | None = None
    boxes: BoxesSource | None = None
    boxes_frame: str = "source"
    replacements: ReplacementsSource | None = None
    replacements_frame: str = "source"

    def read(self, images: Sequence[NamedImage]) -> Annotations:
        """Finds the image of every value.

        Raises:
            UsageError: no value belongs to any image, one belongs to several, or only some images
                have a group.
        """
        names = [image.name for image in images]
        given, groups = _with_file(self)
        labels = _assigned("labels", given, names)
        masks = _assigned("masks", _masks(self.masks), names)
        boxes = _assigned("boxes", _box_rows(self.boxes), names)
        replacements = _assigned("replacements", _replacements(self.replacements), names)
        frames = _frame(self.masks_frame), _frame(self.maps_frame), _frame(self.boxes_frame)
        shown = _frame(self.replacements_frame)
        return Annotations(
            labels=labels,
            masks={
                at: _mask(mask, frames[0], f"the object mask of {names[at]!r}")
                for at, mask in masks.items()
            },
            maps=_maps(self.maps, frames[1], names),
            groups=_grouped(groups, names),
            boxes={
                at: _boxes(corners, frames[2], f"the boxes of {names[at]!r}")
                for at, corners in boxes.items()
            },
            replacements={
                at: partial(_replacement, only_image(given, f"replacement of {names[at]!r}"), shown)
                for at, given in replacements.items()
            },
        )


def _add_label(image: Image, label: int | Collection[int]) -> None:
    if isinstance(label, Collection):
        image.labels.SetInParent()  # an empty set is known too
        image.labels.classes.extend(label)
    else:
        image.label = label


def _frame(name: str) -> Frame.ValueType:
    if name not in FRAMES:
        raise UsageError(f"unknown frame {name!r}; known: {', '.join(FRAMES)}")
    return FRAMES[name]


def _assigned(kind: str, values: ByImage[Value] | None, names: Sequence[str]) -> dict[int, Value]:
    """The values by the indices of their images; warns where named ones are missing."""
    if values is None:
        return {}
    found = _found(kind, values, names)
    if isinstance(values, Mapping):
        _warn_of_gaps(kind, [name for at, name in enumerate(names) if at not in found], len(names))
    return found


def _found(kind: str, values: ByImage[Value], names: Sequence[str]) -> dict[int, Value]:
    if isinstance(values, Mapping):
        return dict(_by_name(kind, values, names))
    if len(values) != len(names):
        raise UsageError(f"{len(values)} {kind} for {len(names)} images: give one an image")
    return {index: value for index, value in enumerate(values) if value is not None}


def _warn_of_gaps(kind: str, without: Sequence[str], images: int) -> None:
    if without:
        shown = ", ".join(map(repr, without[:_SHOWN])) + ", ..." * (len(without) > _SHOWN)
        warnings.warn(
            f"{images - len(without)} of {images} images have {kind}; without: {shown}",
            PartialAnnotationsWarning,
            stacklevel=2,
        )


def _by_name(
    kind: str, values: Mapping[str, Value], names: Sequence[str]
) -> Iterator[tuple[int, Value]]:
    places = [_place(name, values) for name in names]
    used = Counter(place for place in places if place is not None)
    if not used:
        raise UsageError(
            f"none of the {len(values)} {kind} belongs to an image: the first is for "
            f"{next(iter(values), '')!r}, the first image is {names[0]!r}"
        )
    shared = [place for place, count in used.items() if count > 1]
    if shared:
        raise UsageError(f"{kind} of {shared[0]!r} fit several images: name them by their paths")
    yield from ((at, values[place]) for at, place in enumerate(places) if place is not None)


def _place(name: str, values: Mapping[str, object]) -> str | None:
    """The key of an image: its path, its path without suffix, its file name or its stem."""
    path = PurePosixPath(name)
    keys = (name, str(path.with_suffix("")), path.name, path.stem)
    return next((key for key in keys if key in values), None)


def _with_file(
    sources: AnnotationSources,
) -> tuple[ByImage[int | Collection[int]] | None, ByImage[str] | None]:
    """Labels and groups, of which a file may hold both."""
    if not isinstance(sources.labels, str | os.PathLike):
        return sources.labels, sources.groups
    read = read_label_file(Path(sources.labels))
    if read.groups is not None and sources.groups is not None:
        raise UsageError(
            f"labels {sources.labels} has a column `group`, and groups are given beside it: "
            "leave one of them out"
        )
    return read.labels, sources.groups if read.groups is None else read.groups


def _grouped(values: ByImage[str] | None, names: Sequence[str]) -> dict[int, str]:
    """The groups by the indices of their images: one of every image, or none."""
    if values is None:
        return {}
    found = _found("groups", values, names)
    without = [name for at, name in enumerate(names) if not found.get(at)]
    if without:
        raise UsageError(
            f"{without[0]!r} has no group, and {len(names) - len(without)} of {len(names)} images "
            "have one: give one to every image, as intervals and tests count groups"
        )
    return found


def _folder(path: Path, suffix: str, kind: str) -> Mapping[str, Path]:
    files = sorted(path.rglob(f"*{suffix}")) if path.is_dir() else []
    if not files:
        raise UsageError(f"{kind} folder {path} holds no {suffix} files")
    return {file.relative_to(path).with_suffix("").as_posix(): file for file in files}


def _masks(source: MasksSource | None) -> ByImage[NDArray[Any] | bytes | Path] | None:
    if isinstance(source, str | os.PathLike):
        return dict(_folder(Path(source), ".png", "masks"))
    return source


def _mask(mask: NDArray[Any] | bytes | Path, frame: Frame.ValueType, place: str) -> ObjectMask:
    if isinstance(mask, Path):
        mask = mask.read_bytes()
    if isinstance(mask, bytes):
        return ObjectMask(frame=frame, encoded=mask)
    if mask.ndim != 2:  # axes
        raise UsageError(f"{place} is {list(mask.shape)}; it must be [height, width]")
    if np.issubdtype(mask.dtype, np.floating) and not np.isin(mask, (0, 1)).all():
        row, column = np.argwhere(~np.isin(mask, (0, 1)))[0]
        raise UsageError(
            f"{place} holds {mask[row, column]:.6g} at row {row}, column {column}; a pixel belongs "
            "to the object (1) or not (0): give mask > 0.5, or another threshold"
        )
    data = (mask != 0).astype(np.uint8)
    tensor = Tensor(data_type=DATA_TYPE_UINT8, shape=mask.shape, data=data.tobytes())
    return ObjectMask(frame=frame, mask=tensor)


def _maps(
    source: MapsSource | None, frame: Frame.ValueType, names: Sequence[str]
) -> dict[int, list[AttributionMap]]:
    """The maps of every image, one a set."""
    found: dict[int, list[AttributionMap]] = {}
    for name, held in map_sets(source).items():
        values: ByImage[NDArray[Any] | Path]
        if isinstance(held, str | os.PathLike):
            values = dict(_folder(Path(held), ".npy", "maps"))
        else:
            values = held
        kind = f"maps of {name!r}" if name else "maps"
        for at, one in _assigned(kind, values, names).items():
            place = f"the attribution map of {names[at]!r}"
            found.setdefault(at, []).append(attribution_map(one, frame, place, name))
    return found


def _replacements(source: ReplacementsSource | None) -> ByImage[ImageSource | NamedImage] | None:
    if isinstance(source, str | os.PathLike):
        return dict(images_by_stem(Path(source), "replacements"))
    return source


def _replacement(image: NamedImage, frame: Frame.ValueType) -> ReplacementImage:
    loaded = image.load()
    if loaded.HasField("pixels"):
        return ReplacementImage(frame=frame, pixels=loaded.pixels)
    return ReplacementImage(frame=frame, encoded=loaded.encoded)


def _box_rows(
    source: BoxesSource | None,
) -> ByImage[Sequence[Sequence[float]] | NDArray[Any]] | None:
    if isinstance(source, str | os.PathLike):
        return dict(read_box_file(Path(source)))
    return source


def _boxes(corners: BoxRows, frame: Frame.ValueType, place: str) -> tuple[Box, ...]:
    if len(corners) == 0:
        return ()
    try:
        rows: NDArray[np.float64] = np.asarray(corners, np.float64)
    except (TypeError, ValueError):
        rows = np.empty((0, 0))
    if rows.ndim != 2 or rows.shape[1] != len(CORNERS):  # axes
        raise UsageError(f"{place} must be rows of four numbers: {', '.join(CORNERS)}")
    if not np.isfinite(rows).all():
        raise UsageError(f"{place} hold NaN or infinity: leave such a box out")
    return tuple(
        Box(frame=frame, left=left, top=top, right=right, bottom=bottom)
        for left, top, right, bottom in rows.tolist()
    )
