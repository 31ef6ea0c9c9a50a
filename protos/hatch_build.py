"""Generates the Python code of the contract, for wheels and editable installs alike."""

from importlib import resources
from pathlib import Path
from typing import Any

import google.api
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtocHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's config type is private
    """Runs protoc over `protos/heatproof` before anything is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Writes the generated modules beside their sources."""
        generate(Path(self.root) / "protos")


def generate(root: Path) -> None:
    """Writes `_pb2.py`, `_pb2.pyi`, `_pb2_grpc.py` and `_pb2_grpc.pyi` beside each source.

    Modules of sources that are gone are deleted: two that declare one message cannot be imported.

    Raises:
        RuntimeError: protoc refused a source; it has printed why.
    """
    sources = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    for module in root.rglob("*_pb2*.py*"):
        if not (module.parent / f"{module.name.partition('_pb2')[0]}.proto").exists():
            module.unlink()
    outputs = [
        f"--{plugin}_out={root}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc")
    ]
    arguments = ["protoc", f"-I{root}", *(f"-I{path}" for path in include_paths()), *outputs]
    if protoc.main([*arguments, *sources]) != 0:
        message = f"protoc failed on {len(sources)} files under {root}"
        raise RuntimeError(message)


def include_paths() -> list[str]:
    """Folders that hold `google/api` and protoc's well-known types.

    pip builds in an isolated environment, where sysconfig names the wrong site-packages.
    """
    google_api = Path(next(iter(google.api.__path__)))
    return [str(google_api.parents[1]), str(resources.files("grpc_tools") / "_proto")]


if __name__ == "__main__":
    generate(Path(__file__).parent)
