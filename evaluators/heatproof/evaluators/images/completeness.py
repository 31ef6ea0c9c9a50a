"""Refuses image files whose end is missing, also where the decoders would not notice."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from PIL.TiffImagePlugin import TiffImageFile

from heatproof.evaluators.errors import InvalidImageError, LimitExceededError

_PNG_SIGNATURE_BYTES: Final = 8
_PNG_END: Final = b"IEND"
_PNG_FRAME_BYTES: Final = 12
"""Of every chunk: its length, its type and its checksum."""
_GIF_END: Final = b";"
_JPEG_SCAN: Final = b"\xff\xda"
_MAX_JPEG_SCANS: Final = 128
"""A progressive file of a camera has about ten, and each is decoded over the whole image."""
_BMP_SIZE: Final = slice(2, 6)
_RIFF_SIZE: Final = slice(4, 8)
_RIFF_HEADER: Final = 8
_MAX_TIFF_PAGES: Final = 1000
_TIFF_PIXELS: Final = ((273, 279), (324, 325))
"""Tags of the places and lengths of strips and of tiles."""


def check_complete(data: bytes, kind: str) -> None:
    """Looks for what ends a file of a format, as Pillow names it.

    Raises:
        InvalidImageError: the end is missing.
        LimitExceededError: a JPEG file has so many scans that none was ever meant to be shown.
    """
    is_whole = _ENDS.get(kind)
    if is_whole is not None and not is_whole(data):
        raise InvalidImageError(f"the {kind} file is cut off; send the whole file")
    if kind in {"JPEG", "MPO"} and data.count(_JPEG_SCAN) > _MAX_JPEG_SCANS:
        raise LimitExceededError(
            f"the JPEG file has more than {_MAX_JPEG_SCANS} scans; save it again as baseline JPEG"
        )


def check_pages(image: TiffImageFile, size: int) -> None:
    """Looks whether the pixels of every page of a TIFF file lie in its bytes.

    Raises:
        InvalidImageError: those of a page are missing.
        LimitExceededError: there are too many pages to look at.
    """
    for page in range(_MAX_TIFF_PAGES + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return
        if not _is_whole_page(image, size):
            raise InvalidImageError(
                f"the TIFF file is cut off in page {page + 1}; send the whole file"
            )
    raise LimitExceededError(
        f"the TIFF file has more than {_MAX_TIFF_PAGES} pages, of which the first is read; send "
        "that alone"
    )


def _is_whole_page(image: TiffImageFile, size: int) -> bool:
    for starts, lengths in _TIFF_PIXELS:
        ends = [
            start + length
            for start, length in zip(
                image.tag_v2.get(starts, ()), image.tag_v2.get(lengths, ()), strict=False
            )
        ]
        if ends:
            return bool(max(ends) <= size)
    return False


def _is_whole_png(data: bytes) -> bool:
    """Whether every chunk up to the last lies in the file.

    A decoder that believes the length of a chunk asks for up to 4 GiB, whatever the file has.
    """
    at = _PNG_SIGNATURE_BYTES
    while at + _PNG_FRAME_BYTES <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        at += length + _PNG_FRAME_BYTES
        if kind == _PNG_END:
            return at <= len(data)
    return False


def _is_whole_bmp(data: bytes) -> bool:
    return int.from_bytes(data[_BMP_SIZE], "little") <= len(data)


def _is_whole_webp(data: bytes) -> bool:
    return int.from_bytes(data[_RIFF_SIZE], "little") + _RIFF_HEADER <= len(data)


_ENDS: Final[Mapping[str, Callable[[bytes], bool]]] = MappingProxyType(
    {
        "PNG": _is_whole_png,
        "GIF": lambda data: data.rstrip(b"\0").endswith(_GIF_END),
        "BMP": _is_whole_bmp,
        "WEBP": _is_whole_webp,
    }
)
"""The decoder of JPEG says itself that something is missing, that of TIFF for the first page."""
