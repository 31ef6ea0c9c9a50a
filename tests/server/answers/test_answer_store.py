"""Answers are kept up to a bound, by model, and believed only where that can do no harm."""

import errno
import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from heatproof.server.answers import answer_store
from heatproof.server.answers.answer_store import AnswerStore
from heatproof.server.answers.folders import AnswerPlace, cohort_of

MODEL, OTHER = "models/sha256-aa", "models/sha256-bb"
CONTEXT = "c" * 64


def place(image: int = 0, model: str = MODEL, models: tuple[str, ...] = (MODEL,)) -> AnswerPlace:
    return AnswerPlace(model, cohort_of(models), CONTEXT, f"{image:064x}")


def files(store: AnswerStore, at: AnswerPlace) -> list[Path]:
    folder = at.within(store.root)
    return sorted(folder.glob("*.answers")) if folder.is_dir() else []


def age(store: AnswerStore, at: AnswerPlace, hours: float) -> None:
    used = time.time() - 3600 * hours
    os.utime(at.within(store.root), (used, used))


def test_what_is_kept_lies_there_after_a_restart(tmp_path: Path) -> None:
    AnswerStore(tmp_path, 1000).keep(place(), {MODEL}, b"answers")
    (found,) = files(AnswerStore(tmp_path, 1000), place())
    assert found.read_bytes() == b"answers"


def test_the_bound_holds_and_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path, 1000)
    for image in range(4):
        store.keep(place(image), {MODEL}, bytes(250))
        age(store, place(image), hours=10 - image)
    store.keep(place(0), {MODEL}, b"")  # was of use
    store.keep(place(9), {MODEL}, bytes(250))
    assert [bool(files(store, place(image))) for image in (0, 1, 2, 3, 9)] == [1, 0, 0, 1, 1]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.answers")) <= 1000


def test_files_of_others_in_the_same_folder_stay(tmp_path: Path) -> None:
    own = [tmp_path / "models" / "a" / "b" / "c" / "d" / "weights.onnx", tmp_path / "cohorts" / "a"]
    for path in own:
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(900))
        os.utime(path.parent, (0, 0))
    (tmp_path / "models" / "empty").mkdir()
    store = AnswerStore(tmp_path, 1000)
    for image in range(2):
        store.keep(place(image), {MODEL}, bytes(900))
        age(store, place(image), hours=2)
    assert [bool(files(store, place(image))) for image in range(2)] == [0, 1]
    assert all(path.exists() for path in (*own, tmp_path / "models" / "empty"))
    assert store.believed({MODEL}) == (cohort_of([MODEL]),)


def test_a_large_evaluation_does_not_push_out_its_own_beginning(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path, 1000)
    for image in range(6):
        store.keep(place(image), {MODEL}, bytes(250))
    assert [bool(files(store, place(image))) for image in range(6)] == [1, 1, 1, 1, 0, 0]


def test_servers_that_share_a_folder_keep_its_bound_together(tmp_path: Path) -> None:
    bound, servers = 16_000, 3
    stores = [AnswerStore(tmp_path, bound) for _ in range(servers)]
    for image in range(120):
        stores[image % servers].keep(place(image), {MODEL}, bytes(200))
    held = sum(path.stat().st_size for path in tmp_path.rglob("*.answers"))
    assert bound - 200 < held <= bound + servers * bound // 16


def test_a_full_disk_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = AnswerStore(tmp_path, 1 << 40)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    store.keep(place(), {MODEL}, b"answers")
    assert not files(store, place())


def test_room_on_the_disk_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # as shutil's
    left = usage(1 << 40, 0, answer_store._SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: left)
    store = AnswerStore(tmp_path, 1 << 40)
    store.keep(place(), {MODEL}, b"answers")
    assert not files(store, place())


@pytest.mark.parametrize("deleted", [".", "models", "cohorts"])
def test_what_somebody_deletes_meanwhile_is_kept_again(tmp_path: Path, deleted: str) -> None:
    both = (MODEL, OTHER)
    store = AnswerStore(tmp_path / "answers", 1000)
    store.keep(place(models=both), both, bytes(900))
    shutil.rmtree(store.root / deleted)
    with capture_logs() as logs:
        store.keep(place(1, models=both), both, bytes(90))
    assert files(store, place(1, models=both))
    assert cohort_of(both) in AnswerStore(store.root, 1000).believed(both)
    told = ["start the server anew" in entry["event"] for entry in logs]
    assert told == ([True] if deleted == "." else [])


def test_answers_go_with_their_model_alone(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path, 1000)
    store.keep(place(), {MODEL}, b"mine")
    store.keep(place(model=OTHER, models=(OTHER,)), {OTHER}, b"its")
    store.forget(MODEL)
    assert not files(store, place())
    assert files(store, place(model=OTHER, models=(OTHER,)))


def test_damaged_files_are_removed_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers", 1000)
    store.keep(place(), {MODEL}, b"damaged")
    (found,) = files(store, place())
    (tmp_path / "precious.answers").touch()
    with pytest.raises(ValueError, match="no name"):
        store.drop(place(), ["../../../../../../precious"])
    store.drop(place(), [found.stem])
    assert not files(store, place())
    assert (tmp_path / "precious.answers").exists()


@pytest.mark.parametrize("name", ["..", "c" * 63, "C" * 64, "c" * 64 + "\n", ""])
def test_what_is_no_digest_names_no_place(tmp_path: Path, name: str) -> None:
    store = AnswerStore(tmp_path, 1000)
    with pytest.raises(ValueError, match="no digests"):
        store.keep(AnswerPlace(MODEL, cohort_of([MODEL]), name, "0" * 64), {MODEL}, b"answers")


def test_a_cohort_is_believed_where_all_of_its_models_are_run(tmp_path: Path) -> None:
    both = (MODEL, OTHER)
    store = AnswerStore(tmp_path, 1000)
    store.keep(place(models=both), both, b"answers")
    for held in (store, AnswerStore(tmp_path, 1000)):
        assert held.believed({MODEL}) == (cohort_of([MODEL]),)
        for models in (both, (*both, "models/third")):
            cohorts = held.believed(set(models))
            assert {cohort_of([model]) for model in models} | {cohort_of(both)} == set(cohorts)
    assert cohort_of(both) == cohort_of(both[::-1])


def test_a_list_that_is_not_of_its_cohort_is_not_believed(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path, 1000)
    (tmp_path / "cohorts" / cohort_of((MODEL, OTHER))).write_text(MODEL)
    assert store.believed({MODEL}) == (cohort_of([MODEL]),)


def test_lists_of_cohorts_go_with_their_answers(tmp_path: Path) -> None:
    both = (MODEL, OTHER)
    store = AnswerStore(tmp_path, 1000)
    store.keep(place(models=both), both, bytes(900))
    age(store, place(models=both), hours=2)
    store.keep(place(1), {MODEL}, bytes(900))
    assert not list((tmp_path / "cohorts").iterdir())
