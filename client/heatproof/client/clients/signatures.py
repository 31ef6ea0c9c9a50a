"""Methods of the clients, as `inspect.signature` and `help` show them."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def adopt_signature(
    method: Callable[..., Any],
    flow: Callable[..., Any],
    owner: str,
    made: Callable[..., Any] | None = None,
) -> None:
    """Gives a method the name, the text and the parameters of its flow, and the flow's result.

    Args:
        method: takes the client and the arguments of the flow.
        flow: a generator function; its `**options: Unpack[...]` become parameters by keyword, which
            show `...` for their default where they may be left out.
        owner: class of the method.
        made: what turns the flow's result into the method's; None: it is the same.
    """
    parameters = [SELF, *_parameters(flow)]
    if made is None:
        result = get_args(inspect.signature(flow).return_annotation)[-1]
    else:
        result = inspect.signature(made).return_annotation
    signature = inspect.Signature(parameters, return_annotation=result)
    method.__name__, method.__doc__ = flow.__name__, flow.__doc__
    method.__qualname__ = f"{owner}.{flow.__name__}"
    method.__annotations__ = {one.name: one.annotation for one in parameters[1:]}
    method.__annotations__["return"] = result
    method.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect


def _parameters(flow: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for parameter in inspect.signature(flow).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter
            continue
        (options,) = get_args(parameter.annotation)
        for name, annotation in inspect.get_annotations(options).items():
            default = parameter.empty if name in options.__required_keys__ else ...
            yield parameter.replace(
                name=name, kind=parameter.KEYWORD_ONLY, annotation=annotation, default=default
            )
