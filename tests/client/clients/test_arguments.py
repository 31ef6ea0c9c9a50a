"""No argument of the client is swallowed in silence."""

import inspect

import pytest

from heatproof.client import AsyncClient, Client, UsageError
from heatproof.client.clients.arguments import check_keywords
from heatproof.client.clients.flows.evaluations import evaluate
from heatproof.client.clients.flows.gates import gate


@pytest.mark.parametrize(
    ("function", "name", "near"),
    [
        (evaluate, "explainer", "explainers"),
        (evaluate, "label", "labels"),
        (gate, "keep_overlay", "keep_overlays"),
        (gate, "mask_frame", "masks_frame"),
    ],
)
def test_the_nearest_name_is_offered(function: object, name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"{name!r}; did you mean {near!r}"):
        check_keywords(function, {name: 1})  # type: ignore[arg-type]  # a flow


def test_what_resembles_nothing_is_refused_with_all_names() -> None:
    with pytest.raises(UsageError, match=r"'zzz'; known: model, images"):
        check_keywords(evaluate, {"zzz": 1})


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_method_knows_its_own_arguments(client: type) -> None:
    methods = [
        vars(client)[name] for name in ("evaluate", "gate", "explain", "inspect", "upload_dataset")
    ]
    for method in methods:
        names = inspect.signature(method._flow).parameters
        check_keywords(method._flow, {name: 1 for name, one in names.items() if one.kind != 4})
