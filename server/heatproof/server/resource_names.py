"""Names of resources: one value class for each pattern."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from heatproof.evaluators.errors import InvalidArgumentError

_DIGEST = r"sha256-[0-9a-f]{64}"


MAX_DISPLAY_NAME: Final = 256
"""Letters of a name to show."""


def check_display_name(text: str) -> None:
    """Looks at a name to show, which comes back in replies, lists, logs and reports.

    Raises:
        InvalidArgumentError: it is too long or holds control characters.
    """
    if len(text) > MAX_DISPLAY_NAME or any(unicodedata.category(one) == "Cc" for one in text):
        raise InvalidArgumentError(
            f"display_name {text[:60]!r} must have at most {MAX_DISPLAY_NAME} letters, none of "
            f"them a control character; it has {len(text)}",
            field="display_name",
        )


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A name `collection/id`.

    Attributes:
        id: the part after the collection.
    """

    id: str

    collection: ClassVar[str]
    id_pattern: ClassVar[str]
    id_meaning: ClassVar[str]

    @classmethod
    def parse(cls, text: str, *, field: str = "name") -> Self:
        """Reads a name.

        Raises:
            InvalidArgumentError: the text does not have this pattern.
        """
        match = re.fullmatch(f"{cls.collection}/({cls.id_pattern})", text)
        if match is None:
            raise InvalidArgumentError(
                f"{text!r} is not the name of one of the {cls.collection}; expected "
                f"`{cls.collection}/` and {cls.id_meaning}",
                field=field,
            )
        return cls(match[1])

    def __str__(self) -> str:
        return f"{self.collection}/{self.id}"


@dataclass(frozen=True, slots=True)
class ModelName(ResourceName):
    """`models/sha256-...`: the digest of a model's bytes."""

    collection = "models"
    id_pattern = _DIGEST
    id_meaning = "`sha256-` with 64 lower-case hexadecimal digits, as UploadModel returned it"

    @classmethod
    def of_files(cls, digests: Iterable[tuple[str, str]]) -> Self:
        """Names the model of these files, given by location and SHA-256.

        A single file gives its own digest; several give the digest of the lines
        `location sha256`, each ended by a line feed, sorted by location.
        """
        files = sorted(digests)
        if len(files) == 1:
            return cls(f"sha256-{files[0][1]}")
        lines = "".join(f"{location} {sha256}\n" for location, sha256 in files)
        return cls(f"sha256-{hashlib.sha256(lines.encode()).hexdigest()}")


@dataclass(frozen=True, slots=True)
class DatasetName(ResourceName):
    """`datasets/sha256-...`: the digest of a data set's images and what is known about them."""

    collection = "datasets"
    id_pattern = _DIGEST
    id_meaning = "`sha256-` with 64 lower-case hexadecimal digits, as UploadDataset returned it"

    @classmethod
    def of_images(cls, digests: Iterable[str]) -> Self:
        """Names the data set of these images, given by their content digests in order."""
        lines = "".join(f"{digest}\n" for digest in digests)
        return cls(f"sha256-{hashlib.sha256(lines.encode()).hexdigest()}")


@dataclass(frozen=True, slots=True)
class EvaluationName(ResourceName):
    """`evaluations/...`: chosen by the server."""

    collection = "evaluations"
    id_pattern = r"[a-z0-9]{20}"
    id_meaning = "20 letters and digits, as CreateEvaluation returned it"

    @classmethod
    def unused(cls) -> Self:
        """Draws a name that nobody has."""
        return cls(secrets.token_hex(10))


@dataclass(frozen=True, slots=True)
class BaselineName(ResourceName):
    """`baselines/...`: chosen by whoever sets it first."""

    collection = "baselines"
    id_pattern = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    id_meaning = "1 to 63 lower-case letters, digits and hyphens, neither first nor last a hyphen"


@dataclass(frozen=True, slots=True)
class BaselineReference:
    """`baselines/...` or `baselines/...@revision`.

    Attributes:
        baseline: the baseline.
        revision: which of its revisions; None for the newest.
    """

    baseline: BaselineName
    revision: int | None = None

    @classmethod
    def parse(cls, text: str, *, field: str = "name") -> Self:
        """Reads a reference.

        Raises:
            InvalidArgumentError: the text does not have this pattern.
        """
        name, at, revision = text.partition("@")
        if at and not re.fullmatch("[1-9][0-9]{0,8}", revision):
            raise InvalidArgumentError(
                f"{text!r} names no revision of a baseline; expected `{name}@` and its number, "
                "which counts up from 1",
                field=field,
            )
        return cls(BaselineName.parse(name, field=field), int(revision) if at else None)

    def __str__(self) -> str:
        return str(self.baseline) if self.revision is None else f"{self.baseline}@{self.revision}"
