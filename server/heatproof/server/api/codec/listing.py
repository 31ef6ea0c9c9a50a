"""The messages of a list: as many as a reply holds, or one in several replies."""

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.v1.results_pb2 import ImageResult

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_ENVELOPE_BYTES: Final = 1024
"""The token of the next page."""
_FRAME_BYTES: Final = 8
"""Tag and length of a message inside another."""


class Listing(Generic[T, M]):
    """Takes messages up to the size of a reply.

    Attributes:
        messages: those it has taken.
    """

    def __init__(self, encode: Callable[[T], M]) -> None:
        self.messages: list[M] = []
        self._encode = encode
        self._room = MAX_REPLY_BYTES - _ENVELOPE_BYTES

    def takes(self, item: T) -> bool:
        """Takes the message of an item if it has room; always the first, so that lists go on."""
        message = self._encode(item)
        size = message.ByteSize() + _FRAME_BYTES
        if self.messages and size > self._room:
            return False
        self._room -= size
        self.messages.append(message)
        return True


def image_result_parts(data: bytes) -> Iterator[ImageResult]:
    """Reads the result of an image and cuts it where a reply ends.

    Merged in their order the parts are the result again, but for the curves of a score and the
    pictures that do not fit a reply by themselves. Only the first has more than scores and
    pictures.
    """
    whole = ImageResult.FromString(data)
    if whole.ByteSize() <= MAX_REPLY_BYTES:
        yield whole
        return
    pieces = list(_pieces(whole))
    for field in ("scores", "overlays", "input_pictures"):
        whole.ClearField(field)
    part, room = whole, MAX_REPLY_BYTES - whole.ByteSize()
    for piece in pieces:
        size = piece.ByteSize()
        if size > room:
            yield part
            part = _continuation(whole.image)
            room = MAX_REPLY_BYTES - part.ByteSize()
        part.MergeFrom(piece)
        room -= size
    yield part


def _continuation(image: str) -> ImageResult:
    return ImageResult(image=image, continuation=True)


def _pieces(whole: ImageResult) -> Iterator[ImageResult]:
    """Scores and pictures one by one, each small enough for a part of its own."""
    most = MAX_REPLY_BYTES - _continuation(whole.image).ByteSize()
    for score in whole.scores:
        piece = ImageResult(scores=[score])
        if piece.ByteSize() > most:
            piece.scores[0].ClearField("curves")
        yield piece
    pictures = [ImageResult(input_pictures=[picture]) for picture in whole.input_pictures]
    pictures += [ImageResult(overlays=[overlay]) for overlay in whole.overlays]
    yield from (piece for piece in pictures if piece.ByteSize() <= most)
