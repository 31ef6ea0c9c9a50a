"""Which images are explained worst."""

from __future__ import annotations  # `Direction.ValueType` exists for type checkers only

import heapq
import math
from collections.abc import Sequence
from typing import Final

from heatproof.v1.results_pb2 import Direction, ImageResult

PICTURED_IMAGES: Final = 100
"""Images whose pictures a report keeps; those of more would fill the memory."""


def badness(value: float, direction: Direction.ValueType) -> float:
    """What is the higher, the worse a score is."""
    if direction == Direction.DIRECTION_LOWER_IS_BETTER:
        return value
    if direction == Direction.DIRECTION_CLOSER_TO_ZERO:
        return abs(value)
    return -value


def image_badness(
    image: ImageResult, directions: Sequence[Direction.ValueType], result: int | None = None
) -> float:
    """How badly an image is explained; below all others without a score.

    Args:
        image: its scores.
        directions: what a good score is, of each result.
        result: index of the result that counts; None: the first that scores single images.
    """
    for held in image.scores:
        if result is None or held.result == result:
            is_scored = held.score.WhichOneof("outcome") == "value"
            return badness(held.score.value, directions[held.result]) if is_scored else -math.inf
    return -math.inf


class WorstPictures:
    """Reads a stream of images' results and takes the pictures off all but the worst images.

    Args:
        directions: what a good score is, of each result.
        most: how many images keep their pictures.
    """

    def __init__(
        self, directions: Sequence[Direction.ValueType], most: int = PICTURED_IMAGES
    ) -> None:
        self._directions = directions
        self._most = most
        self._kept: list[tuple[float, int, list[ImageResult]]] = []
        self._images = 0
        self._parts: list[ImageResult] | None = None

    def __call__(self, part: ImageResult) -> ImageResult:
        """Takes the next message; may take the pictures off an earlier one."""
        if not part.continuation:
            self._begin(part)
        elif self._parts is None:
            _take_off(part)
        else:
            self._parts.append(part)
        return part

    def _begin(self, first: ImageResult) -> None:
        self._images += 1
        self._parts = [first]
        # Of images that are equally bad the earlier one stays.
        entry = (image_badness(first, self._directions), -self._images, self._parts)
        if len(self._kept) < self._most:
            heapq.heappush(self._kept, entry)
            return
        *_, dropped = heapq.heappushpop(self._kept, entry)
        for part in dropped:
            _take_off(part)
        if dropped is self._parts:
            self._parts = None


def _take_off(part: ImageResult) -> None:
    part.ClearField("overlays")
    part.ClearField("input_pictures")
