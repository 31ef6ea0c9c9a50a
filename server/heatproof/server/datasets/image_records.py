"""Images of a data set as rows: everything about them but their bytes, which are blobs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from heatproof.evaluators.images.labels import LabelSet, several, single
from heatproof.evaluators.images.sources import Frame, FramedBox
from heatproof.server.workers.inputs import (
    ArraySource,
    Blob,
    Content,
    EncodedSource,
    FramedSource,
    StoredImage,
)

Record: TypeAlias = dict[str, Any]
"""JSON; bytes are named by their SHA-256."""

Source: TypeAlias = ArraySource | EncodedSource


def record_of(image: StoredImage) -> Record:
    """Describes an image whose bytes are blobs."""

    def source(value: Source) -> Record:
        digest = _blob(value.content).sha256
        if isinstance(value, EncodedSource):
            return {"encoded": digest}
        return {"array": digest, "dtype": value.dtype, "shape": list(value.shape)}

    def framed(value: FramedSource) -> Record:
        return {"frame": value.frame, "source": source(value.source)}

    # Left out where there is none: the digest of a set names what its images have, and no more.
    group = {"group": image.group} if image.group else {}
    shown = image.replacement
    replacement = {} if shown is None else {"replacement": framed(shown)}
    found = several(image.label)
    labels = {} if found is None else {"labels": list(found.classes)}
    return {
        "digest": image.digest,
        "display_name": image.display_name,
        "pixels": source(image.pixels),
        "label": single(image.label),
        "object_mask": framed(image.object_mask) if image.object_mask else None,
        "boxes": [asdict(box) for box in image.boxes],
        "attribution_maps": {name: framed(item) for name, item in image.attribution_maps.items()},
        **labels,
        **group,
        **replacement,
    }


def is_labelled(record: Mapping[str, Any]) -> bool:
    """Whether something is known of the image's classes."""
    return record["label"] is not None or "labels" in record


def image_of(record: Mapping[str, Any]) -> StoredImage:
    """Reads a record."""

    def source(value: Record) -> Source:
        if "encoded" in value:
            return EncodedSource(Blob(value["encoded"]))
        return ArraySource(Blob(value["array"]), value["dtype"], tuple(value["shape"]))

    def framed(value: Record) -> FramedSource:
        return FramedSource(Frame(value["frame"]), source(value["source"]))

    mask, maps = record["object_mask"], record["attribution_maps"]
    return StoredImage(
        digest=record["digest"],
        display_name=record["display_name"],
        pixels=source(record["pixels"]),
        label=LabelSet(tuple(record["labels"])) if "labels" in record else record["label"],
        object_mask=framed(mask) if mask else None,
        boxes=tuple(FramedBox(**{**box, "frame": Frame(box["frame"])}) for box in record["boxes"]),
        attribution_maps={name: framed(item) for name, item in maps.items()},
        group=record.get("group", ""),
        replacement=framed(record["replacement"]) if "replacement" in record else None,
    )


def _blob(content: Content) -> Blob:
    if isinstance(content, bytes):
        message = "the bytes of a stored image are in files"
        raise TypeError(message)
    return content
