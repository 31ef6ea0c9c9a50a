"""A number for every pair of classes, such as how alike they are in meaning."""

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.registry.parameters import Range, parameter

MOST_CLASSES: Final = 1024
"""A matrix travels with its metric: 4 MiB at most."""

_ITEM_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class ClassMatrix:
    """A number for every predicted class and every true one; empty where none is given.

    Equal digests are one matrix, so that results name it without its values.

    Attributes:
        classes: rows, and columns; 0 for no matrix.
        values: float32, little-endian, a row for each predicted class; b"" where only the digest
            is known.
        sha256: digest of `values`, 64 hexadecimal digits.

    Raises:
        InvalidArgumentError: at `values` or `sha256`: another number of bytes, a value that is not
            finite, or bytes of another digest.
    """

    parameter_type: ClassVar[str] = "matrix"

    classes: int = parameter(0, "Rows and columns.", within=Range(0, MOST_CLASSES))
    values: bytes = field(default=b"", compare=False, repr=False)
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.values:
            return
        wanted = _ITEM_BYTES * self.classes**2
        if len(self.values) != wanted:
            raise InvalidArgumentError(
                f"values has {len(self.values)} bytes, but {self.classes} x {self.classes} numbers "
                f"of float32 have {wanted}",
                field="values",
            )
        if not np.isfinite(self._numbers).all():
            raise InvalidArgumentError("values must be finite", field="values")
        digest = hashlib.sha256(self.values).hexdigest()
        if self.sha256 not in {"", digest}:
            raise InvalidArgumentError(
                "sha256 is not the digest of values: leave it out", field="sha256"
            )
        object.__setattr__(self, "sha256", digest)

    def __str__(self) -> str:
        return f"{self.classes} x {self.classes}" if self.classes else "none"

    @classmethod
    def of(cls, matrix: Float32[np.ndarray, "classes classes"]) -> "ClassMatrix":
        """A matrix at hand."""
        return cls(len(matrix), np.ascontiguousarray(matrix, "<f4").tobytes())

    @property
    def digest_alone(self) -> "ClassMatrix":
        """The same matrix, named and not held."""
        return ClassMatrix(self.classes, sha256=self.sha256)

    @property
    def range(self) -> Range | None:
        """From the least to the largest value; None where they are equal or not held."""
        if not self.values or self._numbers.min() == self._numbers.max():
            return None
        return Range(float(self._numbers.min()), float(self._numbers.max()))

    def check(self, classes: int) -> None:
        """Refuses a matrix that is not held, or of other classes than the model's.

        Raises:
            InvalidArgumentError: at `classes` or `values`.
        """
        if self.classes and not self.values:
            raise InvalidArgumentError(
                "values is empty: send the matrix, of which results hold the digest alone",
                field="values",
            )
        if self.classes not in {0, classes}:
            raise InvalidArgumentError(
                f"the matrix has {self.classes} classes, but the model {classes}: send one row and "
                "one column for each class of the model",
                field="classes",
            )

    def between(self, predicted: float, label: int) -> float:
        """The value of a predicted class and a true one; NaN where nothing is predicted."""
        if np.isnan(predicted):
            return float("nan")
        return float(self._numbers[int(predicted), label])

    @property
    def _numbers(self) -> Float32[np.ndarray, "classes classes"]:
        flat = np.frombuffer(self.values, "<f4").astype(np.float32, copy=False)
        return flat.reshape(self.classes, self.classes)
