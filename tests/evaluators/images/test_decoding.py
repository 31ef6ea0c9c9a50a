import functools
import io
import resource
import struct
import tracemalloc
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from heatproof.evaluators.errors import InvalidImageError, LimitExceededError
from heatproof.evaluators.images import decoding
from heatproof.evaluators.images.decoding import ImageLimits
from heatproof.evaluators.images.sources import SourcePixels

LIMITS = ImageLimits(max_pixels=64_000_000)


def decode_image(data: bytes, limits: ImageLimits = LIMITS) -> SourcePixels:
    return decoding.decode_image(data, limits)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colours(seed: int = 0, height: int = 7, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_header(width: int, height: int, *, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_colours_come_back_bit_for_bit(kind: str) -> None:
    found = decode_image(encoded(Image.fromarray(colours()), kind))
    assert found.dtype == np.uint8
    assert np.array_equal(found, colours())


def test_webp_and_gif_are_read() -> None:
    flat = Image.new("RGB", (12, 8), (200, 30, 60))
    lossless = decode_image(encoded(flat, "WEBP", lossless=True))
    assert np.array_equal(lossless, np.asarray(flat))
    assert np.array_equal(decode_image(encoded(flat, "GIF")), np.asarray(flat))


def test_jpeg_agrees_with_opencv() -> None:
    smooth = cv2.resize(colours(), (64, 48), interpolation=cv2.INTER_CUBIC)
    data = encoded(Image.fromarray(smooth), "JPEG", quality=95)
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert other is not None
    # both decode by libjpeg-turbo, perhaps with another inverse transform
    assert np.abs(decode_image(data).astype(int) - other[:, :, ::-1]).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_orientation_is_applied(orientation: int, deep: bool) -> None:
    upright = colours(height=4, width=6)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright[::-1, :].swapaxes(0, 1)[::-1, ::-1],
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: upright.swapaxes(0, 1)[:, ::-1][::-1, ::-1],
    }
    # 6: to be turned clockwise for display, so it was stored turned counter-clockwise
    turned[6] = np.rot90(upright, 1)
    turned[8] = np.rot90(upright, -1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turned[orientation])
    if deep:
        found = decode_image(deep_png(stored.astype(np.uint16) * 257, exif))
        np.testing.assert_allclose(found, upright / np.float32(255), rtol=0, atol=1e-7)
    else:
        data = encoded(Image.fromarray(stored), exif=exif)
        assert np.array_equal(decode_image(data), upright)


def deep_png(values: np.ndarray, exif: Image.Exif | None = None) -> bytes:
    """A PNG of 16 bits a channel, RGB or RGBA, with its EXIF chunk."""
    order = [2, 1, 0, 3][: values.shape[2]]
    done, png = cv2.imencode(".png", values[:, :, order])
    assert done
    data = png.tobytes()
    if exif is None:
        return data
    body = exif.tobytes().removeprefix(b"Exif\x00\x00")
    chunk = b"eXIf" + body
    piece = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + piece + data[33:]


def test_sixteen_bits_of_colour_are_scaled_without_loss() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 6, 3), dtype=np.uint16)
    found = decode_image(deep_png(values))
    assert found.dtype == np.float32
    assert np.array_equal(found, values.astype(np.float32) / np.float32(65535))


def test_sixteen_bits_of_grey_are_scaled_without_loss() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 6), dtype=np.uint16)
    found = decode_image(encoded(Image.fromarray(values)))
    expected = values.astype(np.float32) / np.float32(65535)
    assert np.array_equal(found, np.repeat(expected[:, :, None], 3, axis=2))


def test_sixteen_bits_with_alpha_lie_over_white() -> None:
    values = np.zeros((2, 2, 4), np.uint16)
    values[0, 0] = 0, 0, 0, 65535
    values[0, 1] = 0, 0, 0, 0
    values[1, 0] = 65535, 0, 0, 32768
    found = decode_image(deep_png(values))
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[0, 1].tolist() == [1, 1, 1]
    np.testing.assert_allclose(found[1, 0], [1, 0.5, 0.5], atol=1e-5)


def test_alpha_lies_over_white() -> None:
    image = Image.new("RGBA", (3, 1))
    for column, pixel in enumerate([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)]):
        image.putpixel((column, 0), pixel)
    found = decode_image(encoded(image))
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[0, 1].tolist() == [255, 255, 255]
    assert np.abs(found[0, 2].astype(int) - 127).max() <= 1


def test_transparent_palette_entries_lie_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    found = decode_image(encoded(image, transparency=1))
    assert found[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize(("mode", "value"), [("L", 7), ("1", 255), ("LA", (7, 255)), ("P", 0)])
def test_other_modes_become_rgb(mode: str, value: float | tuple[float, ...]) -> None:
    image = Image.new(mode, (3, 2), value)
    found = decode_image(encoded(image))
    assert found.shape == (2, 3, 3)
    assert (found == found[0, 0, 0]).all()


def test_cmyk_becomes_rgb_by_its_complement() -> None:
    found = decode_image(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF"))
    assert found[0, 0].tolist() == [0, 255, 255]


def test_a_huge_png_is_refused_by_its_header() -> None:
    with pytest.raises(LimitExceededError):
        decode_image(png_header(50_000, 50_000))


@pytest.mark.parametrize(("width", "height"), [(70_000, 2), (9000, 9000), (11, 1), (6, 6)])
def test_sizes_over_the_limits_are_refused_before_decoding(width: int, height: int) -> None:
    limits = ImageLimits(max_pixels=35, max_side=10)
    # The header lies: there is no pixel behind it, so decoding would fail in another way.
    with pytest.raises(LimitExceededError, match=f"{width} x {height}|too large"):
        decode_image(png_header(width, height), limits)


def test_an_image_at_the_limits_is_read() -> None:
    data = encoded(Image.fromarray(colours(height=5, width=7)))
    assert decode_image(data, ImageLimits(max_pixels=35, max_side=7)).shape == (5, 7, 3)


@pytest.mark.parametrize(("height", "width"), [(3, 5), (2, 7)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_count_by_their_bytes(height: int, width: int, channels: int) -> None:
    """36 pixels may take 144 bytes: as many as 12 pixels of 16 bits do."""
    limits = ImageLimits(max_pixels=36, max_side=10)
    assert decode_image(deep(4, 3, channels), limits).shape == (4, 3, 3)
    with pytest.raises(LimitExceededError, match="8 bits a channel"):
        decode_image(deep(height, width, channels), limits)


def deep(height: int, width: int, channels: int) -> bytes:
    values = np.random.default_rng(3).integers(0, 65536, (height, width, channels), dtype=np.uint16)
    return encoded(Image.fromarray(values[:, :, 0])) if channels == 1 else deep_png(values)


def test_tiles_far_larger_than_their_image_are_refused_unread() -> None:
    data = tiled_tiff(tile=32_768)
    with pytest.raises(LimitExceededError):
        decode_image(data)
    assert decode_image(tiled_tiff(tile=16)).shape == (4, 4, 3)


def tiled_tiff(tile: int) -> bytes:
    """A black picture of 4 x 4 pixels in one tile."""
    entries = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 277: 1, 322: tile, 323: tile, 324: 200}
    entries[325] = tile * tile
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)
    return head.ljust(200, b"\0") + bytes(min(tile * tile, 4096))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "deep", "deep with alpha", "deep grey"])
def test_large_images_are_decoded_as_small_ones_are(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strips of any height give the same pixels."""
    rng = np.random.default_rng(3)
    channels = {"RGBA": 4, "deep with alpha": 4, "deep grey": 1}.get(mode, 3)
    if mode.startswith("deep"):
        data = deep(11, 7, channels)
    else:
        colourful = rng.integers(0, 256, (11, 7, channels), dtype=np.uint8)
        data = encoded(Image.fromarray(colourful).convert(mode))
    whole = decode_image(data)
    for pixels in (1, 7, 20):
        monkeypatch.setattr(decoding, "_STRIP_PIXELS", pixels)
        assert np.array_equal(decode_image(data), whole)


def test_what_decoding_takes_is_a_small_multiple_of_what_it_gives() -> None:
    side = 2000
    data = deep_png(np.zeros((side, side, 4), np.uint16))
    tracemalloc.start()
    found = decode_image(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.nbytes == 12 * side * side
    assert peak < 2 * found.nbytes  # whole arrays of floats would take five times as much


WHOLE = {
    "PNG": {},
    "JPEG": {},
    "progressive": {"progressive": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "LZW": {"compression": "tiff_lzw"},
    "WEBP": {},
    "lossless": {"lossless": True},
}
KINDS = {"progressive": "JPEG", "LZW": "TIFF", "lossless": "WEBP"}


@pytest.mark.parametrize("name", [*WHOLE, "deep PNG", "deep TIFF"])
def test_every_cut_of_a_file_is_an_image_error(name: str) -> None:
    picture = Image.fromarray(colours(height=40, width=40))
    if name.startswith("deep"):
        wide = np.asarray(picture).astype(np.uint16) * 257
        data = cv2.imencode({"deep PNG": ".png"}.get(name, ".tiff"), wide)[1].tobytes()
    else:
        data = encoded(picture, KINDS.get(name, name), **WHOLE[name])
    decode_image(data)
    ends = [*range(0, len(data), max(1, len(data) // 50)), *range(len(data) - 30, len(data))]
    for end in ends:
        with pytest.raises(InvalidImageError):
            decode_image(data[:end])


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_many_frames_the_first_is_read_and_a_cut_among_the_others_is_refused(kind: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "green")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert np.array_equal(decode_image(data), np.asarray(frames[0]))
    with pytest.raises(InvalidImageError):
        decode_image(data[: len(data) * 9 // 10])


@functools.cache
def compressed_zeros(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def text_chunk(kind: bytes, keyword: bytes, size: int) -> bytes:
    body = keyword + b"\0\0" + compressed_zeros(size)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    ("kind", "keyword"), [(b"zTXt", b"Raw profile type exif"), (b"iCCP", b"p"), (b"zTXt", b"a")]
)
@pytest.mark.parametrize("deep", [False, True])
def test_bombs_in_metadata_are_not_unpacked(kind: bytes, keyword: bytes, deep: bool) -> None:
    values = np.zeros((4, 4, 3), np.uint16 if deep else np.uint8)
    data = deep_png(values)
    bomb = text_chunk(kind, keyword, 200 << 20)
    tracemalloc.start()
    with suppress(InvalidImageError):
        decode_image(data[:33] + 20 * bomb + data[33:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_a_jpeg_of_countless_scans_is_refused() -> None:
    data = encoded(Image.fromarray(colours()), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    decode_image(data[:start] + 3 * scan + data[-2:])
    with pytest.raises(LimitExceededError, match="128 scans"):
        decode_image(data[:start] + 200 * scan + data[-2:])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_an_image_or_an_image_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
    damaged = bytearray(encoded(Image.fromarray(colours()), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidImageError, LimitExceededError):
        found = decode_image(bytes(damaged), ImageLimits(max_pixels=10_000, max_side=1000))
        assert found.ndim == 3


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"%PDF-1.7", b"\x00" * 100])
def test_other_bytes_are_no_image_and_the_message_says_what_is(data: bytes) -> None:
    with pytest.raises(InvalidImageError, match="PNG, JPEG") as caught:
        decode_image(data)
    assert "0x" not in caught.value.message  # Pillow's own words show where its buffer lies


def test_thirty_two_bits_are_refused_as_their_range_is_unknown() -> None:
    with pytest.raises(InvalidImageError, match="32 bits"):
        decode_image(encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"))


def test_a_chunk_longer_than_its_file_is_refused_before_anybody_asks_for_its_memory() -> None:
    whole = cv2.imencode(".png", np.full((5, 5, 3), 40_000, np.uint16))[1].tobytes()
    at = whole.index(b"IDAT") - 4
    longer = whole[:at] + b"\xfb" + whole[at + 1 :]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidImageError, match="cut off"):
        decode_image(longer)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert decode_image(whole).shape == (5, 5, 3)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_page_of_a_tiff_file_that_is_cut_off_is_refused(compression: str) -> None:
    pages = [Image.fromarray(picture(seed)) for seed in range(3)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    data = stream.getvalue()
    whole = decode_image(data)
    assert np.array_equal(whole, picture(0))
    for share in (0.5, 0.7, 0.9, 0.99):
        with pytest.raises(InvalidImageError, match="cut off"):
            decode_image(data[: int(share * len(data))])


def picture(seed: int) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return drawn
