"""In which shards a sequential evaluation computes its images."""

import hashlib
from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heatproof.server.evaluations.runs.agenda import by_units, in_order
from heatproof.server.workers.inputs import Blob, EncodedSource, StoredImage

IMAGES = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(["", "", "a", "b", "c"])),
    min_size=1,
    max_size=150,
)


def image(content: int, group: str) -> StoredImage:
    digest = f"{content:064x}"
    return StoredImage(digest, "", EncodedSource(Blob(digest)), group=group)


def units_of(images: list[StoredImage], seed: int) -> list[list[int]]:
    """Places of each unit in the order of the seeded hash, by the definition."""
    first = {one.digest: one for one in reversed(images)}
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, one in enumerate(images):
        group = first[one.digest].group
        found["group" if group else "image", group or one.digest].append(place)

    def rank(name: tuple[str, str]) -> bytes:
        return hashlib.sha256(f"heatproof/{seed}/{name[0]}/{name[1]}".encode()).digest()

    return [found[name] for name in sorted(found, key=rank)]


def agenda_of(images: list[StoredImage], seed: int = 0) -> Any:
    return by_units(images, range(len(images)), seed=seed)


@given(IMAGES, st.integers(0, 3))
def test_whole_units_come_in_the_order_of_their_hashes(drawn: Any, seed: int) -> None:
    images = [image(*one) for one in drawn]
    agenda = by_units(images, range(len(images)), seed=seed)
    units = units_of(images, seed)
    assert [shard.number for shard in agenda] == list(range(len(agenda)))
    assert sorted(place for shard in agenda for place in shard.positions) == list(
        range(len(images))
    )
    assert all(0 < len(shard.positions) <= 32 for shard in agenda)
    assert all(list(shard.positions) == sorted(shard.positions) for shard in agenda)
    taken: set[int] = set()
    for shard in agenda:
        taken |= set(shard.positions)
        if shard.units is not None:
            assert taken == {place for unit in units[: shard.units] for place in unit}
    assert agenda[-1].units == len(units)


@given(st.integers(1, 600))
def test_without_groups_there_is_a_look_after_every_shard(count: int) -> None:
    agenda = agenda_of([image(number, "") for number in range(count)])
    sizes = [len(shard.positions) for shard in agenda[:-1]]
    assert all(shard.units is not None for shard in agenda)
    assert sizes == sorted(sizes)
    assert set(sizes) <= set(range(8, 33))


def test_nobody_looks_within_a_unit_that_is_cut() -> None:
    agenda = agenda_of([image(number, "all") for number in range(70)])
    assert [(len(shard.positions), shard.units) for shard in agenda] == [
        (32, None),
        (32, None),
        (6, 1),
    ]


def test_another_seed_gives_another_order() -> None:
    images = [image(number, "") for number in range(40)]
    orders = {seed: agenda_of(images, seed)[0].positions for seed in range(3)}
    assert len(set(map(tuple, orders.values()))) == 3


def test_a_fixed_number_of_images_comes_in_the_order_of_the_data_set() -> None:
    agenda = in_order(range(70))
    assert [tuple(shard.positions) for shard in agenda] == [
        tuple(range(32)),
        tuple(range(32, 64)),
        tuple(range(64, 70)),
    ]
    assert all(shard.units is None for shard in agenda)


def test_some_images_are_cut_as_if_they_were_all() -> None:
    images = [image(number, "") for number in range(100)]
    chosen = [position for position in range(100) if position % 3]
    alone = agenda_of([images[position] for position in chosen])
    found = by_units(images, chosen, seed=0)
    assert [[chosen[place] for place in shard.positions] for shard in alone] == [
        list(shard.positions) for shard in found
    ]
    assert [shard.units for shard in alone] == [shard.units for shard in found]
    assert [tuple(shard.positions) for shard in in_order(chosen)] == [
        tuple(chosen[:32]),
        tuple(chosen[32:64]),
        tuple(chosen[64:]),
    ]


def images_at_looks(images: int) -> list[int]:
    """How many images there are at each look."""
    taken, found = 0, []
    for shard in agenda_of([image(content, "") for content in range(images)]):
        taken += len(shard.positions)
        if shard.units is not None:
            found.append(taken)
    return found


def test_every_shard_of_few_images_is_followed_by_a_look() -> None:
    assert len(images_at_looks(2048)) == len(agenda_of([image(n, "") for n in range(2048)]))


def test_all_looks_together_take_as_long_as_the_images_do() -> None:
    looks = images_at_looks(20_000)
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert max(gap / at for gap, at in zip(gaps[64:], looks[64:], strict=False)) < 1 / 64 + 0.02
    assert sum(looks) < 80 * 20_000
    assert sum(images_at_looks(5_000)) > 40 * 5_000
