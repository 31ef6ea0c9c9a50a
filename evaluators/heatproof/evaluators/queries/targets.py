"""What of a model's answer is explained, as one number: its logit and its probability."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.images.labels import Label, classes_of
from heatproof.evaluators.queries.procedure import Prediction

NO_CLASS = -1
"""Stands for the class of a head that is more than one."""


class Target:
    """What is explained; an image and the model's answer to it decide the head.

    Attributes:
        name: arm of the contract's message.
    """

    name: ClassVar[str]

    def head(self, label: Label | None, clean: Prediction) -> "Head":
        """The head of one image.

        Args:
            label: the image's label.
            clean: the model's answer to the clean image.
        """
        raise NotImplementedError

    def check(self, classes: int) -> None:
        """Refuses a target that a model of so many classes does not have.

        Raises:
            InvalidArgumentError: at the class.
        """


class Head(Target):
    """A target whose classes are known: one number of every answer."""

    @property
    def class_index(self) -> int:
        """The class; `NO_CLASS` where it is more than one."""
        return NO_CLASS

    def head(self, label: Label | None, clean: Prediction) -> "Head":  # noqa: ARG002  # as for all targets
        """Itself."""
        return self

    def weights(self, classes: int) -> Float32[np.ndarray, "classes"]:
        """Weights of the logits whose sum is the logit."""
        raise NotImplementedError

    def logit(self, answer: Prediction) -> float:
        """The weighted sum of the logits."""
        raise NotImplementedError

    def probability(self, answer: Prediction) -> float:
        """A number in [0, 1] that grows with the logit."""
        raise NotImplementedError

    def margin(self, answer: Prediction, *, competing: bool) -> float:
        """The logit less the highest one outside the head; the logit alone if none competes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PredictedClass(Target):
    """The model's own top class on the clean image."""

    name: ClassVar[str] = "predicted"

    def head(self, label: Label | None, clean: Prediction) -> Head:  # noqa: ARG002  # as above
        """The top class."""
        return FixedClass(int(clean.logits.argmax()))


@dataclass(frozen=True, slots=True)
class LabelledClass(Target):
    """The image's label; of several classes the mean."""

    name: ClassVar[str] = "label"

    def head(self, label: Label | None, clean: Prediction) -> Head:
        """The class or the group of the classes; without any, which is refused, the top class."""
        match classes_of(label):
            case ():
                return PREDICTED.head(label, clean)
            case (index,):
                return FixedClass(index)
            case classes:
                return Group(classes)


@dataclass(frozen=True, slots=True)
class FixedClass(Head):
    """One class.

    Attributes:
        index: its index.
    """

    name: ClassVar[str] = "fixed_class"
    index: int

    def __str__(self) -> str:
        return f"class {self.index}"

    @property
    def class_index(self) -> int:
        """The class."""
        return self.index

    def check(self, classes: int) -> None:
        """Refuses an index that is no class."""
        with placed(self.name):
            _check_class(self.index, classes)

    def weights(self, classes: int) -> Float32[np.ndarray, "classes"]:
        """1 for the class."""
        return _one_hot(self.index, classes)

    def logit(self, answer: Prediction) -> float:
        """`z_k`."""
        return float(answer.logits[self.index])

    def probability(self, answer: Prediction) -> float:
        """`p_k`."""
        return float(answer.probabilities[self.index])

    def margin(self, answer: Prediction, *, competing: bool) -> float:
        """`z_k - max of the others`."""
        return _margin(self.logit(answer), answer, (self.index,), competing=competing)


@dataclass(frozen=True, slots=True)
class Contrast(Head):
    """One class rather than another.

    Attributes:
        of: the class that is explained.
        against: the class that it is set against.
    """

    name: ClassVar[str] = "contrast"
    of: int
    against: int

    def __str__(self) -> str:
        return f"class {self.of} rather than {self.against}"

    def check(self, classes: int) -> None:
        """Refuses indices that are no class, and a class against itself."""
        with placed(self.name):
            for field in ("of", "against"):
                with placed(field):
                    _check_class(getattr(self, field), classes)
            if self.of == self.against:
                raise InvalidArgumentError(
                    f"a contrast of class {self.of} with itself is always 0: choose another class",
                    field="against",
                )

    def weights(self, classes: int) -> Float32[np.ndarray, "classes"]:
        """1 for the class, -1 for the other."""
        weights = _one_hot(self.of, classes)
        weights[self.against] = -1
        return weights

    def logit(self, answer: Prediction) -> float:
        """`z_of - z_against`."""
        return float(answer.logits[self.of]) - float(answer.logits[self.against])

    def probability(self, answer: Prediction) -> float:
        """`1 / (1 + exp(-(z_of - z_against)))`; of a softmax `p_of / (p_of + p_against)`."""
        difference = self.logit(answer)
        if difference >= 0:
            return 1 / (1 + math.exp(-difference))
        grown = math.exp(difference)
        return grown / (1 + grown)

    def margin(self, answer: Prediction, *, competing: bool) -> float:  # noqa: ARG002  # as above
        """The logit: the other class is the only one that competes."""
        return self.logit(answer)


@dataclass(frozen=True, slots=True)
class Group(Head):
    """The mean of several classes.

    Attributes:
        classes: their indices, all different.
    """

    name: ClassVar[str] = "group"
    classes: tuple[int, ...]

    def __str__(self) -> str:
        return f"the group of the classes {', '.join(map(str, self.classes))}"

    def check(self, classes: int) -> None:
        """Refuses indices that are no class, none, and one that comes twice."""
        with placed(self.name):
            if not self.classes:
                raise InvalidArgumentError("a group holds no class; give one", field="classes")
            for place, index in enumerate(self.classes):
                with placed(f"classes[{place}]"):
                    _check_class(index, classes)
                    if index in self.classes[:place]:
                        raise InvalidArgumentError(f"class {index} is in the group twice")

    def weights(self, classes: int) -> Float32[np.ndarray, "classes"]:
        """`1 / n` for each class of the group."""
        weights = np.zeros(classes, np.float32)
        weights[list(self.classes)] = 1 / len(self.classes)
        return weights

    def logit(self, answer: Prediction) -> float:
        """The mean of the logits."""
        return float(self._of(answer.logits.astype(np.float64)).mean())

    def probability(self, answer: Prediction) -> float:
        """The mean of the probabilities."""
        return float(self._of(answer.probabilities).mean())

    def margin(self, answer: Prediction, *, competing: bool) -> float:
        """The mean of the logits less the highest one outside the group."""
        return _margin(self.logit(answer), answer, self.classes, competing=competing)

    def _of(self, values: Float64[np.ndarray, "classes"]) -> Float64[np.ndarray, "members"]:
        return values[list(self.classes)]


PREDICTED = PredictedClass()
LABEL = LabelledClass()


def _one_hot(index: int, classes: int) -> Float32[np.ndarray, "classes"]:
    weights = np.zeros(classes, np.float32)
    weights[index] = 1
    return weights


def _margin(
    logit: float, answer: Prediction, members: tuple[int, ...], *, competing: bool
) -> float:
    others = np.delete(answer.logits.astype(np.float64), members)
    return float(logit - others.max()) if competing and others.size else logit


def _check_class(index: int, classes: int) -> None:
    if not 0 <= index < classes:
        raise InvalidArgumentError(
            f"the model has no class {index}: it has the classes 0 to {classes - 1}", field="index"
        )
