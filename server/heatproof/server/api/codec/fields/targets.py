"""Targets between their message and their values; classes by name become indices."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError, placed
from heatproof.evaluators.queries.targets import (
    LABEL,
    PREDICTED,
    Contrast,
    FixedClass,
    Group,
    Target,
)
from heatproof.v1 import evaluation_pb2, gate_pb2, target_pb2

Targeted = TypeVar("Targeted", evaluation_pb2.EvaluationSpec, gate_pb2.Policy)

MAX_GROUP: Final = 1000
"""Most classes of a group."""


def decode_target(message: target_pb2.Target, names: Sequence[str] = ()) -> Target:
    """Makes a target of its message.

    Args:
        message: the target; unset: the predicted class.
        names: names of the classes, by index.

    Raises:
        InvalidArgumentError: a class is not named or has no such name, or the target cannot be
            evaluated; names the field.
    """
    arm = message.WhichOneof("target")
    if arm is None:
        return PREDICTED
    with placed(arm):
        return _DECODERS[arm](getattr(message, arm), names)


def with_indices(message: Targeted, names: Sequence[str]) -> Targeted:
    """A message with a `target`, whose classes go by their index.

    Raises:
        InvalidArgumentError: as `decode_target`.
    """
    if not names or not message.HasField("target"):
        return message
    with placed("target"):
        target = decode_target(message.target, names)
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField("target")
    fill_target(copy.target, target)
    return copy


def fill_target(message: target_pb2.Target, target: Target) -> None:
    """Writes a target; classes go by their index."""
    match target:
        case FixedClass(index):
            message.fixed_class.index = index
        case Contrast(of, against):
            message.contrast.of.index, message.contrast.against.index = of, against
        case Group(classes):
            for index in classes:
                message.group.classes.add(index=index)
        case _:
            getattr(message, target.name).SetInParent()


def _index(message: target_pb2.ClassReference, names: Sequence[str]) -> int:
    match message.WhichOneof("reference"):
        case "index":
            if message.index < 0:
                raise InvalidArgumentError(
                    f"classes are counted from 0; there is no class {message.index}", field="index"
                )
            return message.index
        case "name":
            with placed("name"):
                return _named(message.name, names)
        case _:
            raise InvalidArgumentError("no class is named; set index or name")


def _named(name: str, names: Sequence[str]) -> int:
    if not names:
        raise InvalidArgumentError(
            f"the class {name!r} goes by its name, but the request gives no class_names: give "
            "them (GetModel has those of the model's file, if any, in facts.class_names), or the "
            "index of the class"
        )
    found = [index for index, known in enumerate(names) if known == name]
    if not found:
        raise UnknownNameError.among("class", name, names)
    if len(found) > 1:
        raise InvalidArgumentError(
            f"the classes {found[0]} and {found[1]} are both {name!r}: give the index"
        )
    return found[0]


def _contrast(message: target_pb2.ClassContrast, names: Sequence[str]) -> Target:
    with placed("of"):
        of = _index(message.of, names)
    with placed("against"):
        return Contrast(of, _index(message.against, names))


def _group(message: target_pb2.ClassGroup, names: Sequence[str]) -> Target:
    if not 1 <= len(message.classes) <= MAX_GROUP:
        raise InvalidArgumentError(
            f"a group has 1 to {MAX_GROUP} classes, not {len(message.classes)}", field="classes"
        )
    classes = []
    for place, reference in enumerate(message.classes):
        with placed(f"classes[{place}]"):
            classes.append(_index(reference, names))
    return Group(tuple(classes))


def _refused(kind: str) -> Callable[[Any, Sequence[str]], Target]:
    def refuse(message: object, names: Sequence[str]) -> Target:  # noqa: ARG001  # as its siblings
        raise InvalidArgumentError(
            f"{kind} cannot be evaluated yet: choose predicted, label, fixed_class, contrast or "
            "group"
        )

    return refuse


_DECODERS: Final[Mapping[str, Callable[[Any, Sequence[str]], Target]]] = MappingProxyType(
    {
        "predicted": lambda _message, _names: PREDICTED,
        "label": lambda _message, _names: LABEL,
        "fixed_class": lambda message, names: FixedClass(_index(message, names)),
        "contrast": _contrast,
        "group": _group,
        "box": _refused("detectors"),
        "zone": _refused("segmenters"),
    }
)
