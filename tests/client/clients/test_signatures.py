"""What `inspect.signature` and `help` say of the clients is true, and its names can be imported."""

import asyncio
import inspect
import pydoc
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from google.protobuf.message import Message

import heatproof.client
from heatproof.client import AsyncClient, Client, Report
from heatproof.client.clients.asynchronous import Awaiting
from heatproof.client.clients.synchronous import Blocking

METHODS = [
    pytest.param(client, name, id=f"{client.__name__}.{name}")
    for client in (Client, AsyncClient)
    for name, kind in vars(client).items()
    if isinstance(kind, Blocking | Awaiting)
]


@pytest.mark.parametrize(("client", "name"), METHODS)
def test_every_message_of_a_signature_is_exported(client: type, name: str) -> None:
    signature = inspect.signature(getattr(client, name))
    annotations = [one.annotation for one in signature.parameters.values()]
    for kind in messages([*annotations, signature.return_annotation]):
        assert getattr(heatproof.client, kind.__name__) is kind
        assert kind.__name__ in heatproof.client.__all__


def messages(annotations: Any) -> Iterator[type]:
    """The classes of messages anywhere in annotations."""
    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, Message):
            yield annotation
        yield from messages(get_args(annotation))


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_a_signature_names_every_argument_and_the_result(client: Any) -> None:
    signature = inspect.signature(client.evaluate)
    assert signature.return_annotation is Report
    assert list(signature.parameters)[:3] == ["self", "model", "images"]
    assert {"labels", "output", "target", "seed"} <= set(signature.parameters)
    assert "options" not in signature.parameters
    assert get_type_hints(client.evaluate)["return"] is Report


def test_a_bound_method_has_no_self_and_a_coroutine_is_one() -> None:
    client = AsyncClient.__new__(AsyncClient)
    assert list(inspect.signature(client.delete_model).parameters) == ["name", "timeout"]
    assert asyncio.iscoroutinefunction(client.delete_model)
    assert client.delete_model.__qualname__ == "AsyncClient.delete_model"


@pytest.mark.parametrize(("client", "name"), METHODS)
def test_help_shows_no_effects(client: type, name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(client, name)))
    assert f"{name}(self" in text
    assert "Generator" not in text
