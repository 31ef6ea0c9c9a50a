"""Small pictures of every format and mode that is decoded."""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "RGB"),
    "TIFF": ("L", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "GIF": ("L", "P"),
}
_SIDE = 5


def pictures() -> Iterator[bytes]:
    """One file of each."""
    ramp = np.linspace(0, 255, _SIDE * _SIDE * 3).reshape(_SIDE, _SIDE, 3).astype(np.uint8)
    for format_, modes in _MODES.items():
        for mode in modes:
            yield _written(_picture(ramp, mode), format_)
    for channels in (3, 4):
        deep = np.full((_SIDE, _SIDE, channels), 40_000, np.uint16)
        yield cv2.imencode(".png", deep)[1].tobytes()
        yield cv2.imencode(".tiff", deep)[1].tobytes()


def _picture(ramp: np.ndarray, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(ramp[:, :, 0].astype(np.uint16) * 257)
    return Image.fromarray(ramp).convert(mode)


def _written(picture: Image.Image, format_: str) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    options = {"exif": exif} if format_ in {"JPEG", "PNG", "WEBP", "TIFF"} else {}
    picture.save(file, format_, **options)
    return file.getvalue()
