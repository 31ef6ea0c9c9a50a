"""Where a worker finds models and images: paths into the blob store, or the bytes themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from heatproof.evaluators.images.inventory import KnownImage
from heatproof.evaluators.images.sources import Frame, FramedBox

Content: TypeAlias = bytes | Path
"""The bytes, or the file that holds nothing else."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A stored model.

    Attributes:
        name: `models/sha256-...`.
        path: the model file.
        external: files of external data, by the location under which the model knows them.
    """

    name: str
    path: Path
    external: Mapping[str, Path] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files that are there."""
        files = (self.path, *self.external.values())
        return sum(file.stat().st_size for file in files if file.exists())


@dataclass(frozen=True, slots=True)
class ArraySource:
    """An unparsed tensor: row-major, little-endian.

    Attributes:
        content: the elements.
        dtype: `uint8` or `float32`.
        shape: extents, outermost first.
    """

    content: Content
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedSource:
    """An image file, undecoded."""

    content: Content


@dataclass(frozen=True, slots=True)
class FramedSource:
    """A mask or map that states its frame.

    Attributes:
        frame: what it is laid over.
        source: a tensor; for the mask of an object also a PNG file.
    """

    frame: Frame
    source: ArraySource | EncodedSource


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image with what is known about it, all of it unparsed.

    Attributes:
        digest: SHA-256 of the image's bytes.
        display_name: name to show.
        pixels: an image file, or a tensor [height, width, 3].
        label: the true class, if given.
        object_mask: where the object is, if given.
        boxes: boxes around objects.
        attribution_maps: maps made by the client, by name.
        group: what it has in common with others (patient, scene, camera); "" for none.
    """

    digest: str
    display_name: str
    pixels: EncodedSource | ArraySource
    label: int | None = None
    object_mask: FramedSource | None = None
    boxes: tuple[FramedBox, ...] = ()
    attribution_maps: Mapping[str, FramedSource] = field(default_factory=dict)
    group: str = ""

    @property
    def known(self) -> KnownImage:
        """What can be said of it before it is decoded."""
        return KnownImage(
            display_name=self.display_name or self.digest[:12],
            label=self.label,
            has_object=self.object_mask is not None,
            maps=frozenset(self.attribution_maps),
        )
