"""Data directories of earlier versions are migrated, completely or not at all."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from google.protobuf import json_format

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.api.codec.evaluations import encode_evaluation
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.store.records import State
from heatproof.server.resource_names import DatasetName, EvaluationName, ModelName
from heatproof.server.settings import Settings
from heatproof.server.storage.pages import PageRequest
from heatproof.server.storage.schema import metadata
from heatproof.server.stores import inspected, opened_stores
from heatproof.v1 import results_pb2
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.storage.directories import ENDED, QUEUED, VERSION_0_1, version_0_1
from tests.server.world import World, model_bytes

FIRST_PAGE = PageRequest.parse(0, "")


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    """Settings of a server on a data directory of version 0.1."""
    return Settings(data_dir=version_0_1(tmp_path / "data"), address="127.0.0.1:0")


def dump(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.data_dir / "heatproof.sqlite")) as database:
        return list(database.iterdump())


def execute(settings: Settings, *statements: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "heatproof.sqlite")) as database, database:
        for statement in statements:
            database.execute(statement)


def test_everything_of_version_0_1_is_read(old: Settings) -> None:
    for _ in range(2):  # migrated, then as it is
        with opened_stores(old) as stores:
            (model,) = stores.models.page(FIRST_PAGE).items
            files = stores.models.files(ModelName.parse(model.name))
            assert stores.ownership.path(files.model.sha256).read_bytes() == model_bytes()
            (dataset,) = stores.datasets.page(FIRST_PAGE).items
            images = stores.datasets.images(DatasetName.parse(dataset.name), range(3))
            assert [(image.display_name, image.label) for image in images] == [
                ("0.png", 0),
                ("1.png", 1),
                ("2.png", 2),
            ]
            assert inspect_stores(stores.ownership).findings == ()
            queued = stores.evaluations.get(EvaluationName.parse(QUEUED))
            assert queued.state is State.QUEUED
            assert queued.images_total == 3


def test_the_results_of_version_0_1_are_read(old: Settings) -> None:
    expected = json.loads((VERSION_0_1 / "expected.json").read_text())
    with opened_stores(old) as stores:
        stored = stores.evaluations.get(EvaluationName.parse(ENDED))
        found = json.loads(json_format.MessageToJson(encode_evaluation(stored)))
        rows = stores.evaluations.all_image_rows(stored.number, "curves")
    for name in ("name", "state", "createTime", "endTime", "progress", "cleanAccuracy"):
        assert found.get(name) == expected.get(name), name
    values = [result["summary"]["value"] for result in expected["results"]]
    assert [result["summary"]["value"] for result in found["results"]] == values
    scores = [
        [score.score.value for score in results_pb2.ImageResult.FromString(row).scores]
        for row in rows
    ]
    assert [sum(column) / 3 for column in zip(*scores, strict=True)] == pytest.approx(values)


async def test_an_evaluation_of_version_0_1_goes_on(old: Settings) -> None:
    with opened_stores(old) as stores:
        world = World(old, stores, stores.models.page(FIRST_PAGE).items[0].name)
        name = EvaluationName.parse(QUEUED)
        async with scheduling(world, FakeWorkers()):
            await until(lambda: stores.evaluations.get(name).state.is_final)
        assert stores.evaluations.get(name).state is State.SUCCEEDED


@pytest.mark.parametrize("is_old", [True, False], ids=["migrated", "fresh"])
def test_the_tables_are_those_that_the_code_declares(
    old: Settings, tmp_path: Path, *, is_old: bool
) -> None:
    settings = old if is_old else Settings(data_dir=tmp_path / "fresh", address="127.0.0.1:0")
    with opened_stores(settings) as stores, stores.ownership.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_server_of_version_0_1_refuses_what_was_migrated(old: Settings) -> None:
    with opened_stores(old):
        pass
    assert 'INSERT INTO "schema_version" VALUES(2);' in dump(old)  # it reads 1 and nothing else


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            (
                "CREATE TABLE alembic_version (version_num VARCHAR(32))",
                "INSERT INTO alembic_version VALUES ('9999')",
            ),
            ("newer version", "9999", "restore a backup"),
        ),
        (
            ("UPDATE schema_version SET version = 7",),
            ("schema version 7", "install the version that wrote it"),
        ),
    ],
    ids=["a newer revision", "an unknown number"],
)
@pytest.mark.parametrize(
    "open_it", [lambda settings: opened_stores(settings).__enter__(), inspected]
)
def test_what_cannot_be_migrated_is_refused_and_left_alone(
    old: Settings, harm: tuple[str, ...], words: tuple[str, ...], open_it: Callable[..., Any]
) -> None:
    execute(old, *harm)
    before = dump(old)
    with pytest.raises(FailedPreconditionError) as refused:
        open_it(old)
    assert all(word in refused.value.message for word in words)
    assert dump(old) == before


def test_the_check_changes_no_tables(old: Settings) -> None:
    before = dump(old)
    with pytest.raises(FailedPreconditionError, match="start the server on it once"):
        inspected(old)
    assert dump(old) == before
    with opened_stores(old):
        pass
    assert inspected(old).findings == ()


def test_a_migration_that_fails_changes_nothing(
    old: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(old)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", fail)  # revision 0002 has written its number by then
        with pytest.raises(FailedPreconditionError, match="No space left"), opened_stores(old):
            pass
    assert dump(old) == before
    with opened_stores(old) as stores:
        assert inspect_stores(stores.ownership).findings == ()
