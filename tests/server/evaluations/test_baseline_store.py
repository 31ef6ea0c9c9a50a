"""Baselines by name: revisions, conflicts, and the evaluations that they keep."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from heatproof.evaluators.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    ResourceInUseError,
)
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.store import baseline_store, evaluation_store
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.store.tables import baseline_numbers
from heatproof.server.resource_names import BaselineName, BaselineReference, EvaluationName
from heatproof.server.storage.pages import PageRequest
from tests.server.evaluations.baseline_world import change_to, ended
from tests.server.world import World, opened_world

MAIN = BaselineName("main")
FIRST_PAGE = PageRequest.parse(0, "")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened_world(tmp_path_factory.mktemp("world") / "data") as world:
        yield world


@pytest.fixture(scope="module")
def evaluations(world: World) -> list[StoredEvaluation]:
    return [ended(world, seed=seed) for seed in range(3)]


@pytest.fixture
def empty(world: World) -> World:
    """The same world, as if it had never had a baseline."""
    clear(world)
    return world


def clear(world: World) -> None:
    store = world.stores.baselines
    for held in store.page(FIRST_PAGE).items:
        store.delete(BaselineName.parse(held.name))
    with world.stores.ownership.engine.begin() as connection:
        connection.execute(delete(baseline_numbers))


def revisions(world: World, name: BaselineName = MAIN) -> list[tuple[int, str]]:
    page = world.stores.baselines.history(name, FIRST_PAGE)
    return [(held.revision, held.note) for held in page.items]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xy")),
        st.tuples(st.just("delete"), st.sampled_from("ab")),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_a_history_holds_what_was_set_and_nothing_twice_in_a_row_nor_a_number_twice_ever(
    world: World,
    evaluations: list[StoredEvaluation],
    steps: list[tuple[str, ...]],
) -> None:
    store = world.stores.baselines
    clear(world)
    numbers: Counter[str] = Counter()
    expected: dict[str, list[tuple[int, str, str]]] = {}
    for step in steps:
        name = BaselineName(step[1])
        if step[0] == "delete":
            if step[1] in expected:
                store.delete(name)
                del expected[step[1]]
            continue
        stored, note = evaluations[int(step[2])], step[3]
        told = store.set(name, change_to(world, stored, note)).revision
        history = expected.setdefault(step[1], [])
        if not history or history[-1][1:] != (stored.name, note):
            numbers[step[1]] += 1
            history.append((numbers[step[1]], stored.name, note))
        assert (told.revision, told.evaluation) == history[-1][:2]
    page = store.page(FIRST_PAGE)
    assert {held.name for held in page.items} == {f"baselines/{name}" for name in expected}
    for one, history in expected.items():
        found = store.history(BaselineName(one), FIRST_PAGE).items
        told_of = [(held.revision, held.evaluation, held.note) for held in found]
        assert told_of == history[::-1]
    assert inspect_stores(world.stores.ownership).findings == ()


def test_of_two_updates_that_expect_the_same_revision_one_is_told_of_the_other(
    empty: World, evaluations: list[StoredEvaluation]
) -> None:
    store = empty.stores.baselines
    store.set(MAIN, change_to(empty, evaluations[0]))

    def update(place: int) -> dict[str, str] | int:
        change = change_to(empty, evaluations[1], f"update {place}")
        try:
            return store.set(MAIN, change, expected=1).revision.revision
        except ConflictError as error:
            return error.metadata

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(update, range(8)))
    conflict = {"baseline": "baselines/main", "revision": "2"}
    assert sorted(outcomes, key=str) == [2, *[conflict] * 7]
    assert [number for number, _ in revisions(empty)] == [2, 1]


def test_updates_at_the_same_time_make_a_revision_each(
    empty: World, evaluations: list[StoredEvaluation]
) -> None:
    store = empty.stores.baselines

    def update(place: int) -> int:
        change = change_to(empty, evaluations[0], f"update {place}")
        return store.set(MAIN, change).revision.revision

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(update, range(16)))
    assert sorted(numbers) == list(range(1, 17))
    assert [number for number, _ in revisions(empty)] == list(range(16, 0, -1))


@pytest.mark.parametrize(("expected", "told"), [(0, "has moved to revision 1"), (2, "revision 1")])
def test_an_unexpected_revision_is_refused_and_nothing_changes(
    empty: World, evaluations: list[StoredEvaluation], expected: int, told: str
) -> None:
    store = empty.stores.baselines
    store.set(MAIN, change_to(empty, evaluations[0]), expected=0)
    with pytest.raises(ConflictError, match=told):
        store.set(MAIN, change_to(empty, evaluations[1]), expected=expected)
    assert store.get(MAIN).revision.evaluation == evaluations[0].name


def test_a_retry_of_a_conditional_update_finds_what_it_has_set(
    empty: World, evaluations: list[StoredEvaluation]
) -> None:
    store, change = empty.stores.baselines, change_to(empty, evaluations[0])
    assert store.set(MAIN, change, expected=0) == store.set(MAIN, change, expected=0)
    assert revisions(empty) == [(1, "")]


def test_an_evaluation_is_kept_as_long_as_it_is_the_newest(tmp_path: Path) -> None:
    with opened_world(tmp_path / "data") as world:
        first, second = ended(world, seed=10), ended(world, seed=11)
        store, baselines = world.stores.evaluations, world.stores.baselines
        baselines.set(MAIN, change_to(world, first))
        tomorrow = datetime.now(UTC) + timedelta(days=1)

        with pytest.raises(ResourceInUseError, match="baselines/main") as refused:
            store.delete(EvaluationName.parse(first.name))
        assert refused.value.metadata == {"resource": first.name, "baseline": "baselines/main"}
        store.delete_ended_before(tomorrow)
        assert store.get(EvaluationName.parse(first.name)).name == first.name
        with pytest.raises(NotFoundError):
            store.get(EvaluationName.parse(second.name))

        third = ended(world, seed=12)
        baselines.set(MAIN, change_to(world, third))
        store.delete(EvaluationName.parse(first.name))
        newest, oldest = baselines.history(MAIN, FIRST_PAGE).items
        assert (newest.stored, oldest.stored) == (True, False)
        baselines.delete(MAIN)
        store.delete(EvaluationName.parse(third.name))
        assert inspect_stores(world.stores.ownership).findings == ()


def test_the_database_itself_keeps_what_a_baseline_names(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A baseline that is set between the look and the deletion."""
    first = ended(empty, seed=20)
    empty.stores.baselines.set(MAIN, change_to(empty, first))
    monkeypatch.setattr(evaluation_store, "refuse_if_held", lambda *_: None)
    with pytest.raises(ResourceInUseError):
        empty.stores.evaluations.delete(EvaluationName.parse(first.name))
    assert empty.stores.baselines.get(MAIN).revision.stored
    assert len(empty.stores.evaluations.finished_shards(first.number)) == 0
    empty.stores.baselines.delete(MAIN)


def test_a_baseline_is_not_set_to_what_has_gone_meanwhile(empty: World) -> None:
    gone, held = ended(empty, seed=30), ended(empty, seed=31)
    empty.stores.evaluations.delete(EvaluationName.parse(gone.name))
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        empty.stores.baselines.set(MAIN, change_to(empty, gone))
    with pytest.raises(NotFoundError, match="there is no baselines/main"):
        empty.stores.baselines.get(MAIN)
    empty.stores.baselines.set(MAIN, change_to(empty, held))
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        empty.stores.baselines.set(MAIN, change_to(empty, gone))
    assert empty.stores.baselines.get(MAIN).revision.evaluation == held.name


def test_old_revisions_go_when_there_are_many(
    empty: World, evaluations: list[StoredEvaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_store, "KEPT_REVISIONS", 3)
    for place in range(5):
        empty.stores.baselines.set(MAIN, change_to(empty, evaluations[0], str(place)))
    assert revisions(empty) == [(5, "4"), (4, "3"), (3, "2")]
    with pytest.raises(NotFoundError, match="the newest revision is 5"):
        empty.stores.baselines.revision(BaselineReference(MAIN, 2))
    assert empty.stores.baselines.revision(BaselineReference(MAIN, 4)).note == "3"
    assert empty.stores.baselines.revision(BaselineReference(MAIN)).note == "4"


def test_a_history_is_paged_and_of_one_baseline_alone(
    empty: World, evaluations: list[StoredEvaluation]
) -> None:
    store, found, token = empty.stores.baselines, list[str](), ""
    for place in range(5):
        for name in (MAIN, BaselineName("release")):
            store.set(name, change_to(empty, evaluations[0], f"{name.id} {place}"))
    while True:
        page = store.history(MAIN, PageRequest.parse(2, token))
        assert len(page.items) <= 2
        found += [held.note for held in page.items]
        token = page.next_token
        if not token:
            break
    assert found == [f"main {place}" for place in reversed(range(5))]


def test_a_missing_baseline_offers_the_nearest(
    empty: World, evaluations: list[StoredEvaluation]
) -> None:
    empty.stores.baselines.set(BaselineName("release"), change_to(empty, evaluations[0]))
    with pytest.raises(NotFoundError, match=r"did you mean baselines/release\?"):
        empty.stores.baselines.get(BaselineName("relase"))


def test_a_baseline_is_there_after_a_restart(tmp_path: Path) -> None:
    with opened_world(tmp_path / "data") as world:
        before = world.stores.baselines.set(MAIN, change_to(world, ended(world), "released"))
    with opened_world(tmp_path / "data") as world:
        assert world.stores.baselines.get(MAIN) == before
        assert before.revision.model_display_name == "tiny"


@pytest.mark.parametrize(
    "text",
    ["main", "baselines/", "baselines/M", "baselines/-a", "baselines/a.b", f"baselines/{64 * 'a'}"],
)  # fmt: skip
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="baselines"):
        BaselineName.parse(text)


@pytest.mark.parametrize("revision", ["", "0", "x", "1.5", "-1", "9999999999"])
def test_other_revisions_are_refused(revision: str) -> None:
    with pytest.raises(InvalidArgumentError, match="revision"):
        BaselineReference.parse(f"baselines/main@{revision}")


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), st.integers(1, 10**9 - 1)
)
def test_references_are_read_as_they_are_written(name: str, revision: int) -> None:
    held = BaselineReference(BaselineName(name), revision)
    assert BaselineReference.parse(str(held)) == held
