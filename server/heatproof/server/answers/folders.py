"""Where answers lie, and who may believe whom.

A worker that has run a hostile model may be its puppet. What it says of any model is therefore kept
under its *cohort*, all models that its process has run, and believed only where an evaluation runs
every one of them itself: there the hostile model could have said the same at first hand.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

SUFFIX: Final = ".answers"
"""Of the files of answers."""

_MODEL: Final = re.compile(r"sha256-[0-9a-f]{1,64}")
_COHORT: Final = re.compile(r"[0-9a-f]{32}")
_CONTEXT: Final = re.compile(r"[0-9a-f]{64}")
_IMAGE: Final = re.compile(r"[0-9a-f]{1,128}")
_SEGMENT: Final = re.compile(r"[0-9a-f]{32}")

_LEVELS: Final = (_MODEL, _COHORT, _CONTEXT, _IMAGE)
"""Names of the folders between that of all answers and those of an image."""

IMAGE_DEPTH: Final = len(_LEVELS)
"""How deep the folders of images lie below that of all answers."""


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


def answer_folders(root: Path, depth: int = IMAGE_DEPTH) -> Iterator[Path]:
    """The folders at a depth that are named as ours are; somebody else's may lie beside them."""
    top = root / "models"
    for folder in top.glob("/".join(["*"] * depth)):
        names = folder.relative_to(top).parts
        if all(map(re.Pattern.fullmatch, _LEVELS, names)) and folder.is_dir():
            yield folder


def cohort_files(root: Path) -> Iterator[Path]:
    """The files that list the models of cohorts, named as ours are."""
    return (path for path in (root / "cohorts").iterdir() if _COHORT.fullmatch(path.name))


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
