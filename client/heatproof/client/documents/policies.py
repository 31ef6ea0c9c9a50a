"""Policy and preprocessing files."""

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from heatproof.client.documents import messages
from heatproof.client.documents.messages import AnyMessage
from heatproof.client.errors import PolicyError, UsageError
from heatproof.v1.gate_pb2 import Policy
from heatproof.v1.preprocessing_pb2 import Preprocessing

NO_PREPROCESSING: Final = (
    "no preprocessing: a wrong one still gives plausible classes, so there is no default. Give "
    "--preprocessing imagenet, tf or unit, a TOML file, or, for a gate, a table "
    "[model.preprocessing] in the policy"
)
"""Says what to do where a preprocessing is missing."""

POLICY_FILE: Final = "heatproof.toml"
"""The policy of a folder."""

PRESETS: Final = ("deployment", "medical", "research")
"""Names of policies that come with Heatproof."""

_FILES: Final = resources.files("heatproof.client.documents").joinpath("policy_presets")

PolicySource: TypeAlias = str | os.PathLike[str] | dict[str, Any] | Policy
"""A policy: the path of a TOML file, the name of a preset, a table, or a message."""

PreprocessingSource: TypeAlias = str | os.PathLike[str] | dict[str, Any] | Preprocessing
"""A preprocessing: the name of a preset, the path of a TOML file, its table, or a message."""


def read_policy(source: PolicySource) -> Policy:
    """Reads a policy; the name of a preset is no file.

    Raises:
        PolicyError: it has no checks, an unknown key (the nearest known one is named), or a value
            of the wrong type.
        UsageError: the file cannot be read.
    """
    if isinstance(source, str) and source in PRESETS:
        policy = messages.read(Policy, tomllib.loads(preset_text(source)))
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        policy = _from_file(Policy, path, _policy_table(path))
    else:
        policy = messages.read(Policy, source)
    if not policy.checks:
        raise PolicyError("the policy has no checks: add a [[checks]] table", path="checks")
    return policy


def preset_text(name: str) -> str:
    """The TOML of a preset of `PRESETS`, with comments that explain it."""
    return _FILES.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _policy_table(path: Path) -> dict[str, Any]:
    """The table of a policy file; what is neither a file nor looks like one may mean a preset."""
    if path.suffix or path.exists():
        return _toml(path)
    raise UsageError(
        f"there is no policy {path}: name a TOML file, or one of the presets {', '.join(PRESETS)}"
    )


def read_preprocessing(source: PreprocessingSource) -> Preprocessing:
    """Reads a preprocessing; a string that ends in `.toml` is a file, any other one a preset.

    Raises:
        PolicyError: an unknown key, or a value of the wrong type.
        UsageError: the file cannot be read.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and source.endswith(".toml")):
        path = Path(source)
        return _from_file(Preprocessing, path, _inner(_toml(path)))
    return messages.read(Preprocessing, source, "preprocessing")


def preprocessing_table(source: str) -> dict[str, Any]:
    """What a policy holds under `[model.preprocessing]` for a preset or a TOML file.

    Raises:
        PolicyError: as `read_preprocessing`.
        UsageError: likewise.
    """
    read_preprocessing(source)
    if not source.endswith(".toml"):
        return {"preset": source}
    table = _inner(_toml(Path(source)))
    return {"preset": table} if isinstance(table, str) else dict(cast("dict[str, Any]", table))


def _from_file(kind: type[AnyMessage], path: Path, table: object) -> AnyMessage:
    try:
        return messages.read(kind, table)
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}", path=error.path) from error


def _inner(table: dict[str, Any]) -> object:
    """The table itself, or that of `[preprocessing]` or `[model.preprocessing]` in it."""
    model = table.get("model")
    inner = model if isinstance(model, dict) else table
    return inner.get("preprocessing", table)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} is no TOML file: {error}") from error
