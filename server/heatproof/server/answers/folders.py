"""Where answers lie, and who may believe whom.

A worker that has run a hostile model may be its puppet. What it says of any model is therefore kept
under its *cohort*, all models that its process has run, and believed only where an evaluation runs
every one of them itself: there the hostile model could have said the same at first hand.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

SUFFIX: Final = ".answers"
"""Of the files of answers."""

_CONTEXT: Final = re.compile(r"[0-9a-f]{64}")
_IMAGE: Final = re.compile(r"[0-9a-f]{1,128}")
_SEGMENT: Final = re.compile(r"[0-9a-f]{32}")


def cohort_of(models: Iterable[str]) -> str:
    """The folder name of a set of models, by their names."""
    return hashlib.sha256("\n".join(sorted(set(models))).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """Where the answers of a model to the queries of one image lie.

    Attributes:
        model: name of the model, `models/{model}`.
        cohort: of the models that the worker's process has run.
        context: SHA-256, in hexadecimal digits, of what else may change a bit of an answer.
        image: SHA-256 of the image's bytes, likewise.
    """

    model: str
    cohort: str
    context: str
    image: str

    def check(self) -> None:
        """Refuses what would lead elsewhere.

        Raises:
            ValueError: context or image is no digest.
        """
        if not _CONTEXT.fullmatch(self.context) or not _IMAGE.fullmatch(self.image):
            message = f"{self.context[:80]!r}, {self.image[:80]!r} are no digests"
            raise ValueError(message)

    def within(self, root: Path) -> Path:
        """Its folder."""
        return model_folder(root, self.model) / self.cohort / self.context / self.image


def model_folder(root: Path, model: str) -> Path:
    """The folder of all answers of a model."""
    return root / "models" / PurePosixPath(model).name


def cohort_file(root: Path, cohort: str) -> Path:
    """The file that lists the models of a cohort of several."""
    return root / "cohorts" / cohort


def segment_file(folder: Path, name: str) -> Path:
    """A file of answers by its name.

    Raises:
        ValueError: it is no name of a file of answers.
    """
    if not _SEGMENT.fullmatch(name):
        message = f"{name[:80]!r} is no name of a file of answers"
        raise ValueError(message)
    return folder / f"{name}{SUFFIX}"
