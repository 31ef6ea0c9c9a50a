"""Draws the object masks of photographs into masks/: 255 = object, 0 = surroundings.

Some outlines were read off the committed photographs by eye; they hold to a few pixels. The others
are OpenCV's GrabCut inside a box, with polygons that it took for the object or the surroundings by
mistake; each was looked at over its photograph. Needs NumPy, OpenCV and Pillow.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

TARGET = Path(__file__).with_name("masks")
PHOTOGRAPHS = Path(__file__).with_name("photographs")
SMALLEST_PART = 0.12
"""Parts of a cut below this share of its largest one are dropped."""
LARGEST_HOLE = 900
"""Holes of fewer pixels are filled."""

Polygon = list[tuple[int, int]]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """What GrabCut is told of a photograph, in its pixels.

    Attributes:
        box: left, top, width and height of a box around the object.
        inside: polygons that belong to the object.
        outside: polygons that do not.
    """

    box: tuple[int, int, int, int]
    inside: tuple[Polygon, ...] = ()
    outside: tuple[Polygon, ...] = ()


CUTS = {
    "anemone_fish.jpg": Cut((60, 15, 175, 98)),
    "bee.jpg": Cut((28, 52, 122, 152)),
    "bison.jpg": Cut(
        (64, 26, 216, 172), outside=([(190, 150), (235, 140), (238, 165), (180, 178)],)
    ),
    "bucket.jpg": Cut(
        (18, 20, 222, 313),
        outside=([(60, 110), (65, 70), (95, 42), (130, 34), (170, 44), (200, 75), (205, 112)],),
    ),
    "chameleon.jpg": Cut((38, 72, 360, 150)),
    "german_shepherd.jpg": Cut(
        (8, 5, 295, 242),
        inside=([(256, 14), (268, 40), (259, 44)], [(294, 14), (297, 40), (284, 38)]),
        outside=([(112, 214), (214, 214), (211, 175), (125, 165)],),
    ),
    "gibbon.jpg": Cut((160, 5, 148, 250)),
    "goldfish.jpg": Cut((0, 5, 300, 245)),
    "hammer.jpg": Cut((30, 12, 335, 232)),
    "kingfisher.jpg": Cut((122, 20, 170, 212)),
    "koala.jpg": Cut((35, 78, 184, 262)),
    "komodo_dragon.jpg": Cut(
        (15, 60, 340, 180),
        outside=(
            [(50, 90), (110, 60), (345, 60), (310, 75), (270, 76), (235, 84)],
            [(50, 90), (235, 84), (205, 100), (170, 98), (110, 96)],
        ),
    ),
    "macaw.jpg": Cut((72, 30, 232, 220)),
    "panda.jpg": Cut(
        (78, 15, 245, 215),
        inside=([(106, 138), (128, 138), (128, 155), (106, 155)],),
        outside=([(86, 165), (108, 160), (112, 212), (86, 214)],),
    ),
    "pig.jpg": Cut(
        (48, 52, 165, 160),
        inside=(
            [(87, 150), (100, 154), (96, 203), (82, 206)],
            [(127, 150), (137, 150), (137, 196), (127, 196)],
            [(167, 130), (175, 132), (175, 164), (167, 164)],
            [(192, 100), (200, 108), (207, 160), (197, 161)],
            [(58, 100), (68, 102), (66, 112), (60, 110)],
        ),
        outside=(
            [(45, 60), (120, 55), (135, 62), (112, 80), (95, 97), (75, 98), (62, 95), (50, 75)],
            [(103, 160), (123, 158), (123, 195), (103, 200)],
            [(140, 160), (163, 158), (163, 168), (140, 185)],
            [(140, 192), (212, 168), (212, 211), (140, 211)],
            [(180, 142), (192, 142), (192, 162), (180, 164)],
        ),
    ),
    "polar_bear.jpg": Cut((78, 80, 212, 115)),
    "puffer.jpg": Cut((46, 66, 250, 154)),
    "red_panda.jpg": Cut((130, 8, 324, 247)),
}


def coffee(draw: ImageDraw.ImageDraw) -> None:
    """The cup with its saucer and spoon."""
    draw.ellipse((50, 46, 306, 250), fill=255)
    draw.ellipse((110, 11, 262, 133), fill=255)
    draw.polygon([(110, 72), (262, 72), (240, 160), (130, 160)], fill=255)
    draw.polygon([(258, 44), (272, 46), (262, 90), (250, 90)], fill=255)


def clock(draw: ImageDraw.ImageDraw) -> None:
    """The dial, as wide as the motion smeared it."""
    draw.ellipse((121, 79, 244, 184), fill=255)


def rocket(draw: ImageDraw.ImageDraw) -> None:
    """The vehicle from its nose to the pad."""
    draw.polygon([(193, 76), (201, 90), (201, 244), (185, 244), (185, 90)], fill=255)


def baseball(draw: ImageDraw.ImageDraw) -> None:
    """The ball, which the frame cuts off at the left and the right."""
    draw.ellipse((2, 2, 258, 258), fill=255)


def plate(draw: ImageDraw.ImageDraw) -> None:
    """The plate with its dark rim."""
    draw.ellipse((73, 34, 269, 231), fill=255)


def frying_pan(draw: ImageDraw.ImageDraw) -> None:
    """The pan with both handles."""
    draw.ellipse((58, 84, 285, 182), fill=255)
    draw.ellipse((76, 108, 268, 196), fill=255)
    draw.ellipse((28, 131, 96, 165), fill=255)
    draw.polygon([(228, 90), (286, 60), (293, 70), (246, 94)], fill=255)


def scale(draw: ImageDraw.ImageDraw) -> None:
    """The case and the plate on it, without the hook behind."""
    outline = [(25, 183), (65, 102), (72, 92), (143, 34), (282, 50), (284, 58), (292, 66)]
    draw.polygon([*outline, (291, 86), (205, 229), (27, 185)], fill=255)


OUTLINES = {
    "baseball.jpg": baseball,
    "clock.png": clock,
    "coffee.jpg": coffee,
    "frying_pan.jpg": frying_pan,
    "plate.jpg": plate,
    "rocket.png": rocket,
    "scale.jpg": scale,
}


def outlined(name: str) -> Mask:
    """A mask in the frame of its photograph."""
    with Image.open(PHOTOGRAPHS / name) as photograph:
        mask = Image.new("L", photograph.size, 0)
    OUTLINES[name](ImageDraw.Draw(mask))
    return np.asarray(mask)


def cut(name: str) -> Mask:
    """The object as GrabCut finds it, without small parts and holes."""
    photograph, known = cv2.imread(str(PHOTOGRAPHS / name)), CUTS[name]
    left, top, width, height = known.box
    marks = np.full(photograph.shape[:2], cv2.GC_BGD, np.uint8)
    marks[top : top + height, left : left + width] = cv2.GC_PR_FGD
    for polygons, mark in ((known.inside, cv2.GC_FGD), (known.outside, cv2.GC_BGD)):
        for polygon in polygons:
            cv2.fillPoly(marks, [np.array(polygon, np.int32)], mark)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(photograph, marks, None, *models, 8, cv2.GC_INIT_WITH_MASK)
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    areas = part_areas(opened)
    whole = opened * (areas >= SMALLEST_PART * areas.max())
    holes = (whole == 0) & (part_areas(1 - whole) < LARGEST_HOLE)
    return np.where(holes & (marks != cv2.GC_BGD), 1, whole).astype(np.uint8) * 255


def part_areas(mask: Mask) -> NDArray[np.int64]:
    """For every pixel the area of the connected part that it belongs to; 0 outside of the mask."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask, np.uint8))
    areas = facts[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    return areas[parts]


def main() -> None:
    """Writes all masks."""
    for name in OUTLINES:
        write(name, outlined(name))
    for name in CUTS:
        write(name, cut(name))


def write(name: str, mask: Mask) -> None:
    """Writes a mask under the stem of its photograph."""
    Image.fromarray(mask).save((TARGET / name).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
