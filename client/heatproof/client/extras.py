"""Packages that only some features need."""

import importlib
from typing import Any

from heatproof.client.errors import MissingExtraError


def required(module: str, *, extra: str) -> Any:  # noqa: ANN401  # a module
    """Imports a module of an extra.

    Raises:
        MissingExtraError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"this needs {error.name}: pip install 'heatproof[{extra}]'"
        ) from error
