"""Attribution maps that come with the images, in one set or in several by name."""

from __future__ import annotations  # `Frame.ValueType` exists for type checkers only

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from heatproof.client.documents.images import floats, load_array
from heatproof.client.documents.presenting import PathText
from heatproof.client.documents.reading.tensors import as_array
from heatproof.client.errors import UsageError
from heatproof.v1.image_pb2 import AttributionMap, Frame

Value = TypeVar("Value")

ByImage: TypeAlias = Mapping[str, Value] | Sequence[Value | None]
"""Values by the name, file name or stem of an image, or one an image in their order."""

MapSet: TypeAlias = PathText | ByImage[NDArray[Any]]
"""Attribution maps of one kind: a folder of NPY files by stem, or arrays [height, width] or
[channels, height, width] by image; torch tensors do too."""

MapsSource: TypeAlias = MapSet | Mapping[str, MapSet]
"""Attribution maps, or several sets by name, such as `{"captum_ig": [...], "lime": "lime/"}`: a set
is a folder, a list or a mapping, a map is an array."""

CHANNELS: Final = 4
"""The most channels that the last axis of a map is taken for."""


def map_sets(source: MapsSource | None) -> Mapping[str, MapSet]:
    """The sets of maps by name; one that stands alone has none."""
    if source is None:
        return {}
    if isinstance(source, Mapping) and source and all(map(_is_set, source.values())):
        return cast("Mapping[str, MapSet]", source)
    return {"": cast("MapSet", source)}


def named_maps(source: MapsSource | None) -> tuple[str, ...]:
    """The names of the sets; "" for one that stands alone."""
    return tuple(map_sets(source))


def _is_set(value: object) -> bool:
    return isinstance(value, str | os.PathLike | Mapping | list | tuple)


def attribution_map(
    values: NDArray[Any] | Path, frame: Frame.ValueType, place: str, name: str = ""
) -> AttributionMap:
    """The message of a map.

    Args:
        values: floats [height, width] or [channels, height, width], an NPY file of these, or a
            torch tensor.
        frame: what the map lies over.
        place: whose it is, for errors.
        name: of its set.

    Raises:
        UsageError: other shapes or types, or values that are not finite.
    """
    array = load_array(values) if isinstance(values, Path) else as_array(values)
    if array.ndim not in {2, 3} or not np.issubdtype(array.dtype, np.floating):
        raise UsageError(
            f"{place} is {array.dtype} {list(array.shape)}; an attribution map holds floats "
            "[height, width] or [channels, height, width]"
        )
    if array.ndim == 3 and array.shape[2] <= CHANNELS < min(array.shape[:2]):  # axes
        raise UsageError(
            f"{place} is {list(array.shape)}, with the channels last; give "
            "map.transpose(2, 0, 1), or sum it over its last axis"
        )
    if not np.isfinite(array).all():
        raise UsageError(f"{place} holds NaN or infinity; replace them")
    return AttributionMap(name=name, frame=frame, values=floats(array))
