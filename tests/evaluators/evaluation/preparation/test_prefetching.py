import threading
from contextlib import suppress

import pytest

from heatproof.evaluators.evaluation.preparation.prefetching import AHEAD, prefetched

COUNT = 9


class Maker:
    """Makes numbers; notes which, and in which threads."""

    def __init__(self, broken: int = COUNT) -> None:
        self._broken = broken
        self._noted = threading.Condition()
        self.made: list[int] = []
        self.threads: set[str] = set()

    def __call__(self, index: int) -> int:
        with self._noted:
            self.made.append(index)
            self.threads.add(threading.current_thread().name)
            self._noted.notify_all()
        if index == self._broken:
            message = f"{index} is broken"
            raise ValueError(message)
        return index * index

    def wait_for(self, count: int) -> None:
        with self._noted:
            assert self._noted.wait_for(lambda: len(self.made) >= count, timeout=10)


@pytest.mark.parametrize("count", [0, 1, AHEAD, COUNT])
def test_things_come_once_and_in_order(count: int) -> None:
    maker = Maker()
    with prefetched(maker, count) as things:
        assert list(things) == [index * index for index in range(count)]
    assert maker.made == list(range(count))


def test_a_bounded_number_is_made_ahead_in_one_other_thread() -> None:
    maker = Maker()
    with prefetched(maker, COUNT) as things:
        assert maker.made == []
        for index, _ in enumerate(things):
            begun = min(index + 1 + AHEAD, COUNT)
            maker.wait_for(begun)
            assert maker.made == list(range(begun))
    assert maker.threads == {"prefetch_0"}


def test_what_fails_is_raised_at_its_turn() -> None:
    maker = Maker(broken=3)
    with prefetched(maker, COUNT) as things:
        assert [next(things) for _ in range(3)] == [0, 1, 4]
        maker.wait_for(4)  # it has failed, and nobody is told yet
        with pytest.raises(ValueError, match="3 is broken"):
            next(things)
    assert max(maker.made) <= 3 + AHEAD


def test_nothing_is_begun_and_no_thread_is_left_when_the_context_ends() -> None:
    maker = Maker()
    with suppress(KeyError):
        give_up(maker)
    begun = list(maker.made)
    assert len(begun) <= 1 + AHEAD
    assert not [one for one in threading.enumerate() if one.name.startswith("prefetch")]


def give_up(maker: Maker) -> None:
    with prefetched(maker, COUNT) as things:
        next(things)
        raise KeyError
