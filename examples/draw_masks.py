"""Draws the object masks of three photographs into masks/: 255 = object, 0 = surroundings.

The outlines were read off the committed photographs by eye; they hold to a few pixels.
"""

from pathlib import Path

from PIL import Image, ImageDraw

TARGET = Path(__file__).with_name("masks")
PHOTOGRAPHS = Path(__file__).with_name("photographs")


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


OUTLINES = {"coffee.jpg": coffee, "clock.png": clock, "rocket.png": rocket}


def main() -> None:
    """Writes one mask for each outline, in the frame of its photograph."""
    for name, outline in OUTLINES.items():
        with Image.open(PHOTOGRAPHS / name) as photograph:
            mask = Image.new("L", photograph.size, 0)
        outline(ImageDraw.Draw(mask))
        mask.save((TARGET / name).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
