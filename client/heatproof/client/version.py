"""The version of the distribution that is installed."""

from importlib import metadata
from typing import Final

__version__: Final = metadata.version("heatproof")
