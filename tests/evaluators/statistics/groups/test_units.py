"""Units of sampling: copies count once, groups are whole, order decides nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.groups.units import Units

NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20)


def values_of(digests: Any) -> Any:
    return np.array([ord(digest) / 7 for digest in digests])


@given(NAMES, st.integers(0, 5))
def test_copies_change_nothing(digests: list[str], seed: int) -> None:
    once = list(dict.fromkeys(digests))
    units = Units.of(digests, [""] * len(digests), seed=seed)
    alone = Units.of(once, [""] * len(once), seed=seed)
    assert (units.count, units.copies) == (len(once), len(digests) - len(once))
    summed = units.summed(Arm.of_mean(values_of([digests[i] for i in units.images])))
    np.testing.assert_array_equal(
        summed.numerators, alone.summed(Arm.of_mean(values_of(once))).numerators
    )


@given(st.permutations("abcdefgh"), st.integers(0, 5))
def test_the_order_of_the_images_decides_nothing(digests: list[str], seed: int) -> None:
    units = Units.of(digests, [""] * 8, seed=seed)
    summed = units.summed(Arm.of_mean(values_of([digests[i] for i in units.images])))
    alphabetical = Units.of("abcdefgh", [""] * 8, seed=seed)
    expected = alphabetical.summed(Arm.of_mean(values_of("abcdefgh")))
    np.testing.assert_array_equal(summed.numerators, expected.numerators)


def test_the_seed_orders_the_units() -> None:
    names = [f"{index:064x}" for index in range(30)]
    orders = {tuple(Units.of(names, [""] * 30, seed=seed).unit) for seed in range(3)}
    assert len(orders) == 3
    assert all(sorted(order) == list(range(30)) for order in orders)


def test_groups_sum_their_images_and_count_once() -> None:
    units = Units.of("abcde", ["x", "y", "x", "y", "x"], seed=0)
    arm = units.summed(Arm.of_mean(np.array([1.0, 10.0, 2.0, np.nan, 4.0])))
    assert (units.count, units.grouped, units.largest) == (2, True, 3)
    by_group = dict(zip(arm.numerators, arm.denominators, strict=True))
    assert by_group == {7.0: 3.0, 10.0: 1.0}
    assert arm.estimate() == pytest.approx(17 / 4)


def test_a_group_without_any_score_is_not_scored() -> None:
    units = Units.of("abc", ["x", "x", "y"], seed=0)
    arm = units.summed(Arm.of_mean(np.array([0.5, 0.25, np.nan])))
    assert arm.count == 1


def test_a_group_is_not_mistaken_for_an_image_of_the_same_name() -> None:
    assert Units.of(["a", "b"], ["b", ""], seed=0).count == 2


@given(NAMES, st.integers(0, 5), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_the_first_units_are_nested_whole_and_without_copies(
    digests: list[str], seed: int, fewer: int, more: int, grouped: bool
) -> None:
    fewer, more = sorted((fewer, more))
    groups = [str(ord(digest) % 3) if grouped else "" for digest in digests]
    units = Units.of(digests, groups, seed=seed)
    chosen = units.first(more)
    assert set(units.first(fewer)) <= set(chosen)
    assert len({digests[place] for place in chosen}) == len(chosen)
    names = [groups[place] or digests[place] for place in range(len(digests))]
    held = {names[place] for place in chosen}
    assert len(held) == min(more, units.count)
    assert {digests[place] for place in chosen} == {
        digest for digest, name in zip(digests, names, strict=True) if name in held
    }
