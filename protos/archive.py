"""Packs the contract with everything that it imports, for compilers of any language."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hatch_build import include_paths

ROOT = Path(__file__).parent
DESCRIPTORS = "heatproof.binpb"
"""Name of the descriptor set, which grpcurl and most tools take in place of sources."""


def main(image: str, output: str) -> None:
    """Writes the sources that a descriptor image names, and the image, into a zip archive."""
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(image, DESCRIPTORS)
        for name, path in sources(Path(image).read_bytes()):
            archive.write(path, name)


def sources(image: bytes) -> Iterator[tuple[str, Path]]:
    """The name by which each file of an image is imported, and where its source lies.

    Raises:
        FileNotFoundError: a source is in none of the folders that protoc reads.
    """
    folders = [ROOT, *map(Path, include_paths())]
    for file in FileDescriptorSet.FromString(image).file:
        found = [folder / file.name for folder in folders if (folder / file.name).is_file()]
        if not found:
            raise FileNotFoundError(file.name)
        yield file.name, found[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
