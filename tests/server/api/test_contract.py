"""The rules of the contract that no linter of protos knows."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

PROTOS = Path(__file__).parents[3] / "protos" / "heatproof" / "v1"
REPLIES = ("Response", "Verdict", "Empty")
REQUIRED, OUTPUT_ONLY = field_behavior_pb2.REQUIRED, field_behavior_pb2.OUTPUT_ONLY


def files() -> list[FileDescriptor]:
    modules = [
        importlib.import_module(f"heatproof.v1.{path.stem}_pb2") for path in PROTOS.glob("*.proto")
    ]
    return [module.DESCRIPTOR for module in modules]


def messages() -> list[Descriptor]:
    def walk(message: Descriptor) -> Iterator[Descriptor]:
        if not message.GetOptions().map_entry:
            yield message
            for inner in message.nested_types:
                yield from walk(inner)

    found = [
        m for file in files() for top in file.message_types_by_name.values() for m in walk(top)
    ]
    return sorted(found, key=lambda message: str(message.full_name))


def behaviours(field: FieldDescriptor) -> set[int]:
    return set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


RESOURCES = [m for m in messages() if m.GetOptions().HasExtension(resource_pb2.resource)]


def test_all_files_and_resources_are_looked_at() -> None:
    assert len(files()) == len(list(PROTOS.glob("*.proto")))
    assert {resource.name for resource in RESOURCES} == {
        "Model", "Dataset", "Evaluation", "NamedBaseline",
    }  # fmt: skip


@pytest.mark.parametrize("message", messages(), ids=lambda message: str(message.name))
def test_every_field_but_those_of_replies_and_oneofs_states_its_behaviour(
    message: Descriptor,
) -> None:
    if message.name.endswith(REPLIES) or message.name.endswith("DownloadModelHeader"):
        return
    silent = [
        field.name
        for field in message.fields
        if not behaviours(field) and field.containing_oneof is None
    ]
    assert silent == []


@pytest.mark.parametrize("message", messages(), ids=lambda message: str(message.name))
def test_optional_numbers_are_never_required(message: Descriptor) -> None:
    for field in message.fields:
        if field.has_presence and field.message_type is None and not field.containing_oneof:
            assert REQUIRED not in behaviours(field)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda message: str(message.name))
def test_a_resource_has_its_name_first_and_is_written_by_the_server(resource: Descriptor) -> None:
    name, *others = resource.fields
    assert (name.name, name.number) == ("name", 1)
    assert behaviours(name) == {field_behavior_pb2.IDENTIFIER}
    assert all(behaviours(field) == {OUTPUT_ONLY} for field in others)


@pytest.mark.parametrize("message", messages(), ids=lambda message: str(message.name))
def test_every_state_is_output_only(message: Descriptor) -> None:
    for field in message.fields:
        if field.enum_type is not None and field.enum_type.name == "State":
            assert behaviours(field) == {OUTPUT_ONLY}


@pytest.mark.parametrize("message", messages(), ids=lambda message: str(message.name))
def test_names_of_resources_are_references(message: Descriptor) -> None:
    requests = message.name.endswith("Request")
    for field in message.fields if requests else ():
        if field.name in {"name", "model", "dataset"}:
            reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
            assert reference.type.startswith("heatproof/"), field.full_name
