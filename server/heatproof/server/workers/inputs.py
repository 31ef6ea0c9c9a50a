"""Models and images as tasks name them: by digests of the blob store, or the bytes themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from heatproof.evaluators.images.inventory import KnownImage
from heatproof.evaluators.images.labels import Label
from heatproof.evaluators.images.sources import Frame, FramedBox


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes by their digest; a worker opens them through its `FileAccess`.

    Attributes:
        sha256: digest of the bytes.
        upload: name under which they are kept while their upload lasts; "" once they are stored.
    """

    sha256: str
    upload: str = ""


Content: TypeAlias = bytes | Blob
"""The bytes, or what they are stored under."""


def received(content: Content) -> bytes:
    """The bytes of what has just come with a request.

    Raises:
        TypeError: they are stored, so that a `FileAccess` has them.
    """
    if isinstance(content, Blob):
        message = f"{content} does not come with a request"
        raise TypeError(message)
    return content


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A stored model.

    Attributes:
        name: `models/sha256-...`.
        model: the model file.
        external: files of external data, by the location under which the model knows them.
        size_bytes: bytes of all files.
    """

    name: str
    model: Blob
    external: Mapping[str, Blob] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AnswerGrant:
    """What a task may make of answers that are kept.

    Attributes:
        cohorts: whose answers it may believe, see `answers.folders`.
        keeps: whether its own are wanted.
    """

    cohorts: tuple[str, ...]
    keeps: bool


@dataclass(frozen=True, slots=True)
class RunSize:
    """How many batches a run of one kind of pass takes, as it was measured.

    Attributes:
        model: name of the model.
        key: SHA-256 of the pass and of all that its time depends on: preprocessing, libraries,
            processor, cores and provider.
        batches: the number.
    """

    model: str
    key: str
    batches: int


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
    """A mask, map or replacement that states its frame.

    Attributes:
        frame: what it is laid over.
        source: a tensor; for the mask of an object also a PNG file, for a replacement any image
            file.
    """

    frame: Frame
    source: ArraySource | EncodedSource


@dataclass(frozen=True, slots=True)
class StoredDonor:
    """Another image of the set, unparsed.

    Attributes:
        digest: SHA-256 of the image's bytes.
        display_name: name to show.
        pixels: an image file, or a tensor [height, width, 3].
    """

    digest: str
    display_name: str
    pixels: EncodedSource | ArraySource


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image with what is known about it, all of it unparsed.

    Attributes:
        digest: SHA-256 of the image's bytes.
        display_name: name to show.
        pixels: an image file, or a tensor [height, width, 3].
        label: the true class, or all that it shows, if given.
        object_mask: where the object is, if given.
        boxes: boxes around objects.
        attribution_maps: maps made by the client, by name.
        replacement: what is shown in place of the image where parts of it are removed, if given.
        group: what it has in common with others (patient, scene, camera); "" for none.
        donors: other images of the set by a seeded draw; set for tasks that read them.
        same_label_donors: more of its own label, likewise.
        other_label_donors: more of other labels, likewise.
        partner: the other image of its pair, likewise.
        leads_pair: whether it is the one that carries what is scored of the pair.
    """

    digest: str
    display_name: str
    pixels: EncodedSource | ArraySource
    label: Label | None = None
    object_mask: FramedSource | None = None
    boxes: tuple[FramedBox, ...] = ()
    attribution_maps: Mapping[str, FramedSource] = field(default_factory=dict)
    replacement: FramedSource | None = None
    group: str = ""
    donors: tuple[StoredDonor, ...] = ()
    same_label_donors: tuple[StoredDonor, ...] = ()
    other_label_donors: tuple[StoredDonor, ...] = ()
    partner: StoredDonor | None = None
    leads_pair: bool = False

    @property
    def known(self) -> KnownImage:
        """What can be said of it before it is decoded."""
        return KnownImage(
            display_name=self.display_name or self.digest[:12],
            label=self.label,
            has_object=self.object_mask is not None,
            has_boxes=bool(self.boxes),
            has_replacement=self.replacement is not None,
            maps=frozenset(self.attribution_maps),
        )
