"""Targets as text: `predicted`, `label`, `class:207`, `contrast:207,208`, `group:281,282`."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from heatproof.client.errors import PolicyError
from heatproof.v1.target_pb2 import ClassReference, Target

TargetSource: TypeAlias = str | int | dict[str, Any] | Target
"""What is explained: the text above, the index of a class, a table, or a message. Classes go by
their index, or by one of the names that are given as `class_names`."""

FORMS: Final = "predicted, label, class:CLASS, contrast:CLASS,CLASS or group:CLASS,CLASS,..."
"""The texts, as error messages and help list them."""

_PLAIN: Final = frozenset({"predicted", "label"})


def target_table(source: str | int, path: str = "target") -> dict[str, Any]:
    """The table that a text or an index stands for.

    Raises:
        PolicyError: the text is no target.
    """
    if isinstance(source, int):
        return {"fixed_class": {"index": source}}
    name, colon, rest = source.partition(":")
    classes = [class_table(text.strip()) for text in rest.split(",") if text.strip()]
    match name.strip(), len(classes):
        case plain, 0 if plain in _PLAIN and not colon:
            return {plain: {}}
        case "class", 1:
            return {"fixed_class": classes[0]}
        case "contrast", 2:
            return {"contrast": {"of": classes[0], "against": classes[1]}}
        case "group", count if count:
            return {"group": {"classes": classes}}
    raise PolicyError(f"{source!r} is no target at {path!r}; write {FORMS}", path=path)


def class_table(source: str | int) -> dict[str, Any]:
    """The table of a class by its index or its name."""
    if isinstance(source, int) or (source.isascii() and source.isdigit()):
        return {"index": int(source)}
    return {"name": source}


def target_text(target: Target, names: Sequence[str] = ()) -> str:
    """What is explained, in words; `names` are those of the classes by index."""

    def named(held: ClassReference) -> str:
        if held.WhichOneof("reference") == "name":
            return held.name
        return names[held.index] if 0 <= held.index < len(names) else f"class {held.index}"

    match target.WhichOneof("target"):
        case "label":
            return "the label"
        case "fixed_class":
            return named(target.fixed_class)
        case "contrast":
            return f"{named(target.contrast.of)} rather than {named(target.contrast.against)}"
        case "group":
            return f"the mean of {', '.join(map(named, target.group.classes))}"
        case "box" | "zone" as kind:
            return f"a {kind}"
        case _:
            return "the predicted class"
