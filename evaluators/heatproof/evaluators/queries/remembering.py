"""What is remembered: the values used last, and maps that several ask for, each made once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeAlias, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Answered: TypeAlias = Callable[[Any], None]


class Recent(Generic[K, V]):
    """Remembers the values that were used last, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Finds a value and marks it as used."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: K, value: V) -> None:
        """Remembers a value and forgets the one that was not used for longest."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)


class SharedMaps:
    """Hands maps out to all who ask for equal ones: while they are made, and for a while after.

    Args:
        most: maps that are remembered, those that were asked for last.
    """

    def __init__(self, most: int) -> None:
        self._known: Recent[Hashable, Any] = Recent(most)
        self._open: dict[Hashable, list[Answered]] = {}

    def ask(self, key: Hashable, answered: Answered) -> bool:
        """Answers at once, or when the map is settled; says whether it has to be made for that."""
        known = self._known.get(key)
        if known is not None:
            answered(known)
            return False
        waiting = self._open.setdefault(key, [])
        waiting.append(answered)
        return len(waiting) == 1

    def settle(self, key: Hashable, made: object) -> None:
        """Hands a map out, or why there is none, to all who wait for it."""
        self._known.put(key, made)
        for answered in self._open.pop(key):
            answered(made)
