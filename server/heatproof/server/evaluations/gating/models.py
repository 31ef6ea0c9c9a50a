"""Which model of an evaluation is meant."""

from collections.abc import Sequence

from heatproof.evaluators.errors import InvalidArgumentError


def chosen_model(model: str, models: Sequence[str]) -> str:
    """The model that is named, or the only one.

    Raises:
        InvalidArgumentError: it is none of the evaluation's, or several are and none is named.
    """
    if model:
        return known_model(model, models, field="model")
    if len(models) != 1:
        raise InvalidArgumentError(
            f"the evaluation has {len(models)} models; set model to one of them: "
            f"{', '.join(models)}",
            field="model",
        )
    return models[0]


def known_model(model: str, models: Sequence[str], *, field: str) -> str:
    """A model that the evaluation has.

    Raises:
        InvalidArgumentError: it has none of this name.
    """
    if model not in models:
        raise InvalidArgumentError(
            f"{model!r} is no model of the evaluation; its models: {', '.join(models)}",
            field=field,
        )
    return model
