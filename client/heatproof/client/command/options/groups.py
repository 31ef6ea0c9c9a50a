"""Groups of options: a dataclass parameter of a subcommand becomes an option a field."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter, Signature
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a function for typer out of one whose parameters may be frozen dataclasses.

    The fields of a group are annotated as typer wants its options, and their names are unique
    among all groups of the subcommand.
    """
    hints: dict[str, Any] = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    options = {
        option.name: option
        for name, kind in hints.items()
        for option in _options(name, kind, grouped=name in groups)
    }

    def run(**given: Any) -> None:  # noqa: ANN401  # values of options
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        command(**made, **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {name: option.annotation for name, option in options.items()}
    run.__signature__ = Signature(list(options.values()))  # type: ignore[attr-defined]  # read by inspect
    return run


def _options(name: str, kind: Any, *, grouped: bool) -> list[Parameter]:  # noqa: ANN401  # a type
    if not grouped:
        return [Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind)]
    hints = get_type_hints(kind, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]


def _default(field: Field[Any]) -> Any:  # noqa: ANN401  # whatever the option's default is
    if field.default_factory is not MISSING:
        return field.default_factory()
    return Parameter.empty if field.default is MISSING else field.default
