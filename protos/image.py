"""Writes the contract as one descriptor image, which buf lints and compares."""

import sys
from pathlib import Path

from grpc_tools import protoc
from hatch_build import include_paths


def main(output: str) -> int:
    """Writes the image to `output`; the exit code is protoc's."""
    root = Path(__file__).parent
    sources = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    includes = [f"-I{path}" for path in (root, *include_paths())]
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    options = ["--include_source_info", "--include_imports", f"--descriptor_set_out={output}"]
    return int(protoc.main(["protoc", *includes, *options, *sources]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
