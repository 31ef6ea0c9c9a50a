"""External data of untrusted models: tensors that live in files beside the model.

A location is a word in the model, chosen by whoever made it. It never becomes a path: it is looked
up among the files that were uploaded with the model, and nothing else can be read through it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from onnx import TensorProto

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.files.limits import Limits
from heatproof.graphs.files.tensors import stored_bytes
from heatproof.graphs.files.uploads import Bytes, opened

INLINE_BYTES = 4096
"""Smaller tensors are read into the model, so that checks and shape inference see their values."""

_NUMBER: Final = re.compile(r"[0-9]{1,19}")

Files = Mapping[str, Path]


def normalized_location(location: str) -> str:
    """Returns the normal form of a location, so that `./a` and `a` are the same file.

    Raises:
        InvalidModelError: the location is empty, absolute, leaves its folder or is not portable.
    """
    path = PurePosixPath(location)
    faults = {
        "is empty": not path.parts,
        "is absolute": path.is_absolute() or ":" in location,
        "leaves the folder of the model": ".." in path.parts,
        "contains a backslash or a NUL": "\\" in location or "\0" in location,
    }
    for fault, applies in faults.items():
        if applies:
            raise InvalidModelError(
                f"external data location {location!r} {fault}; locations are plain relative paths "
                "of files uploaded with the model",
                metadata={"location": location},
            )
    return str(path)


def opened_files(external: Files) -> dict[str, Bytes]:
    """Opens the uploaded files, by normal location.

    Raises:
        InvalidModelError: a location is malformed or given twice, or its file is missing or a
            symbolic link.
    """
    files: dict[str, Bytes] = {}
    for location, path in external.items():
        normal = normalized_location(location)
        if normal in files:
            raise InvalidModelError(
                f"external data {normal!r} was uploaded twice; give each location once",
                metadata={"location": normal},
            )
        files[normal] = opened(normal, path)
    return files


def resolve(tensor: TensorProto, files: Mapping[str, Bytes], limits: Limits) -> None:
    """Points an external tensor at its uploaded file, in place; small ones are read in.

    Args:
        tensor: a tensor whose `data_location` is EXTERNAL.
        files: bytes of the uploaded files by normal location.
        limits: bounds of this server.

    Raises:
        InvalidModelError: the location is malformed or was not uploaded, or the data lie outside
            the file.
        LimitExceededError: the tensor is too large.
    """
    entries = _entries(tensor)
    location = normalized_location(entries.get("location", ""))
    data = uploaded(location, tensor.name, files)
    size = stored_bytes(tensor)
    limits.check_tensor(tensor.name, size)
    offset = _extent(tensor, entries, size, len(data))
    del tensor.external_data[:]
    if size <= INLINE_BYTES:
        tensor.data_location = TensorProto.DEFAULT
        tensor.raw_data = data[offset : offset + size]
    else:
        _point_at(tensor, location, offset, size)


def _entries(tensor: TensorProto) -> dict[str, str]:
    """What a tensor says of its data, each once."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) < len(tensor.external_data):
        keys = Counter(entry.key for entry in tensor.external_data)
        raise InvalidModelError(
            f"tensor {tensor.name!r} says twice what the {max(keys, key=keys.__getitem__)} of its "
            "external data is; export the model again"
        )
    return entries


def uploaded(location: str, tensor: str, files: Mapping[str, Bytes]) -> Bytes:
    """The bytes of the file in which a tensor lies.

    Raises:
        InvalidModelError: it was not uploaded.
    """
    if location not in files:
        known = ", ".join(sorted(files)) or "none"
        raise InvalidModelError(
            f"tensor {tensor!r} lies in external data {location!r}, which was not uploaded; "
            f"uploaded: {known}",
            metadata={"tensor": tensor, "location": location},
        )
    return files[location]


def _extent(tensor: TensorProto, entries: Mapping[str, str], size: int, file_size: int) -> int:
    """Checks where the data lie in their file and returns the offset."""
    numbers = entries.get("offset", "0"), entries.get("length", str(size))
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        raise InvalidModelError(
            f"tensor {tensor.name!r}: offset and length of external data must be whole numbers"
        )
    offset, length = map(int, numbers)
    if length != size:
        raise InvalidModelError(
            f"tensor {tensor.name!r} needs {size} bytes of external data, its length says {length}"
        )
    if offset + size > file_size:
        raise InvalidModelError(
            f"tensor {tensor.name!r} lies at bytes {offset} to {offset + size} of external data "
            f"{entries['location']!r}, which has {file_size} bytes; upload the complete file"
        )
    return offset


def _point_at(tensor: TensorProto, location: str, offset: int, size: int) -> None:
    for key, value in (("location", location), ("offset", offset), ("length", size)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
