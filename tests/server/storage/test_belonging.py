"""A server takes no database for another one, and deletes no file for want of its rows."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.store.records import ShardRows
from heatproof.server.resource_names import DatasetName
from heatproof.server.settings import Settings
from heatproof.server.stores import inspected, opened_stores
from heatproof.server.workers.shard_results import ImageRow
from tests.server.storage.directories import version_0_1
from tests.server.world import World, model_bytes, opened_world, store_model


def files(data_dir: Path, folder: str = "blobs") -> set[str]:
    return {path.name for path in (data_dir / folder).rglob("*") if path.is_file()}


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A data directory that has been used."""
    with opened_world(tmp_path / "used") as world:
        world.dataset(6)
    return tmp_path / "used"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another one, with other files."""
    with opened_world(tmp_path / "other") as world:
        world.dataset(2, first=60)
    return tmp_path / "other"


def lose(data_dir: Path) -> None:
    for path in data_dir.glob("heatproof.sqlite*"):
        path.unlink()


def empty(data_dir: Path) -> None:
    lose(data_dir)
    (data_dir / "heatproof.sqlite").touch()


def bare(data_dir: Path) -> None:
    """Leaves a database without tables."""
    lose(data_dir)
    with closing(sqlite3.connect(data_dir / "heatproof.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")


@pytest.mark.parametrize("harm", [lose, empty, bare])
def test_a_missing_database_beside_files_is_refused_however_often(used: Path, harm) -> None:
    before = files(used)
    harm(used)
    for _ in range(2):
        with (
            pytest.raises(FailedPreconditionError, match=r"missing or empty.*7 files.*--adopt"),
            opened_stores(Settings(data_dir=used)),
        ):
            pass
    assert files(used) == before


@pytest.mark.parametrize("harm", [lose, empty, bare])
def test_files_without_a_database_are_adopted_when_told_and_not_deleted(used: Path, harm) -> None:
    before = files(used)
    harm(used)
    with opened_stores(Settings(data_dir=used, adopt=True)) as stores:
        assert inspect_stores(stores.ownership).findings == ()
    assert files(used, "unknown") == before
    assert not files(used)
    with opened_world(used) as world:  # from then on it is an ordinary one
        world.dataset(2)


def test_the_database_of_another_directory_is_refused(used: Path, other: Path) -> None:
    before = files(used)
    lose(used)
    shutil.copy(other / "heatproof.sqlite", used)
    with (
        pytest.raises(FailedPreconditionError, match="another data directory"),
        opened_stores(Settings(data_dir=used)),
    ):
        pass
    assert files(used) == before


def test_the_url_of_another_directory_is_refused(used: Path, other: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{other / 'heatproof.sqlite'}"
    for data_dir in (used, tmp_path / "new"):
        with (
            pytest.raises(FailedPreconditionError, match="another data directory"),
            opened_stores(Settings(data_dir=data_dir, database_url=url)),
        ):
            pass
    assert len(files(used)) == 7
    with opened_stores(Settings(data_dir=other)) as stores:  # where it belongs it is taken
        assert inspect_stores(stores.ownership).findings == ()


def test_a_directory_that_was_never_marked_is_taken_as_it_is(tmp_path: Path) -> None:
    used = version_0_1(tmp_path / "first")  # whose first databases had no identity
    (used / "identity").unlink()
    with closing(sqlite3.connect(used / "heatproof.sqlite")) as database:
        database.execute("DROP TABLE identity")
    with opened_stores(Settings(data_dir=used)) as stores:
        assert inspect_stores(stores.ownership).findings == ()
    assert (used / "identity").exists()


def test_an_emptied_directory_begins_anew(used: Path) -> None:
    lose(used)
    shutil.rmtree(used / "blobs")
    with opened_world(used) as world:
        world.dataset(2)


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
def test_a_database_has_one_server_under_whatever_name(tmp_path: Path, link: str) -> None:
    with opened_world(tmp_path / "first") as world:
        file = world.settings.data_dir / "heatproof.sqlite"
        name = tmp_path / "link.sqlite"
        match link:
            case "same":
                name = file
            case "symbolic":
                name.symlink_to(file)
            case "hard":
                name.hardlink_to(file)
        settings = Settings(data_dir=tmp_path / "second", database_url=f"sqlite:///{name}")
        with (
            pytest.raises(FailedPreconditionError, match="another server"),
            opened_stores(settings),
        ):
            pass


def test_a_database_of_another_kind_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="oracle://host/name")
    with pytest.raises(FailedPreconditionError), opened_stores(settings):
        pass


PLANTED = {
    "DELETE FROM files WHERE owner LIKE 'models/%'": "has no files",
    "DELETE FROM datasets": "its owner is not stored",
    "DELETE FROM dataset_images WHERE position = 3": "another number of images",
    "DELETE FROM blobs WHERE digest IN (SELECT digest FROM files LIMIT 1)": "is not listed",
    "UPDATE blobs SET size_bytes = 1 + size_bytes": "is listed with",
    "DELETE FROM claims": "claims nothing",
    "UPDATE evaluations SET state = 'failed'": "has ended",
    "UPDATE shards SET images = 9": "lacks images",
    "DELETE FROM shards": "belongs to no shard",
    "UPDATE files SET digest = (SELECT digest FROM files WHERE owner LIKE 'models/%')": (
        "does not hold its bytes"
    ),
}


@pytest.mark.parametrize(("sql", "fault"), PLANTED.items())
def test_the_check_sees_rows_that_do_not_fit(world: World, sql: str, fault: str) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(5))
    row = ImageRow(b"", b"", b"")
    store.add_shard(stored.number, ShardRows(0, range(5), (row,) * 5, 50, 1.0))
    assert inspect_stores(world.stores.ownership).findings == ()
    with closing(sqlite3.connect(world.settings.data_dir / "heatproof.sqlite")) as database:
        database.execute(sql)
        database.commit()

    assert fault in "\n".join(map(str, inspect_stores(world.stores.ownership).findings))


def test_the_check_refuses_what_is_no_data_directory(tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="there is no"):
        inspected(Settings(data_dir=tmp_path / "nothing"))
    with pytest.raises(FailedPreconditionError, match="missing"):
        inspected(Settings(data_dir=tmp_path))


def test_an_upload_repairs_a_data_set_that_has_lost_files(world: World) -> None:
    name = DatasetName.parse(world.dataset(3))
    for path in list((world.settings.data_dir / "blobs").glob("*/*")):
        path.write_bytes(b"rubbish")
    assert world.dataset(3) == str(name)
    assert store_model(world.stores, model_bytes()) == world.model
    assert inspect_stores(world.stores.ownership).findings == ()
