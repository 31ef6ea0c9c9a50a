"""The thin client: the Python SDK and the `heatproof` command.

from heatproof.client import Client

with Client.embedded() as client:
    report = client.evaluate(
        "model.onnx",
        "images/",
        preprocessing="imagenet",
        metrics=["deletion"],
        explainers=["grad_cam"],
        removals=["layer"],
    )
print(report.to_pandas())
"""

from importlib import import_module
from typing import TYPE_CHECKING

from heatproof.client.version import __version__ as __version__

if TYPE_CHECKING:
    from heatproof.client.interface import *  # noqa: F403  # what __getattr__ finds

_PUBLIC = f"{__name__}.interface"


def __getattr__(name: str) -> object:
    """Loads the public names with the first use of one: the command does without most of them."""
    public = import_module(_PUBLIC)
    if name != "__all__" and name not in public.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(public, name)


def __dir__() -> list[str]:
    return [*globals(), *import_module(_PUBLIC).__all__]
