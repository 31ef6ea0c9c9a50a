"""What the networks of a panel differ in, for those that train them and those that compare them."""

from typing import Final

SCALE: Final = 2
"""Pixels of an image for each pixel that `examples.shapes` draws by itself."""
CELL: Final = 4
"""Pixels of the image between two cells of the last feature map."""
DISPLACEMENTS: Final = (0, 1, 2, 3)
"""Cells, down and to the right, by which the last feature map is moved."""
MIX_NAMES: Final = ("plain", "cutout", "mixup", "cutmix")
"""Ways to mix the images that a network is trained on."""
