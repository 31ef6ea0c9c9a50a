"""What is known of an image's classes: the one that is true, or all that it shows."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class LabelSet:
    """All classes that an image shows, for models of which each class has its own probability.

    Attributes:
        classes: indices, all different, ascending; () if it shows none of them.
    """

    classes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"the classes {', '.join(map(str, self.classes))}" if self.classes else "no class"


Label: TypeAlias = int | LabelSet
"""The true class, or the set of all."""


def classes_of(label: Label | None) -> tuple[int, ...]:
    """The classes of a label; () without one."""
    if isinstance(label, LabelSet):
        return label.classes
    return () if label is None else (label,)


def single(label: Label | None) -> int | None:
    """The true class; None if there is none, or a set."""
    return None if isinstance(label, LabelSet) else label


def several(label: Label | None) -> LabelSet | None:
    """The set; None if there is none."""
    return label if isinstance(label, LabelSet) else None
