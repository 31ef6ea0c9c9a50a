"""How a worker reads images: what is wrong with one is told with its name."""

from pathlib import Path

import pytest

from heatproof.evaluators.errors import InvalidImageError
from heatproof.evaluators.images.decoding import ImageLimits
from heatproof.server.workers.execution.images import ImageAccess, lazily_read
from heatproof.server.workers.file_access import SharedFolder
from heatproof.server.workers.inputs import EncodedSource, StoredDonor, StoredImage
from tests.server.world import png


@pytest.mark.parametrize(
    ("name", "told"), [("other.png", "'other.png': the bytes"), ("", "the bytes")]
)
def test_a_donor_that_cannot_be_read_is_named_once_it_is_drawn(
    tmp_path: Path, name: str, told: str
) -> None:
    donor = StoredDonor("d" * 64, name, EncodedSource(b"no image"))
    image = StoredImage("a" * 64, "own.png", EncodedSource(png(0)), donors=(donor,))
    access = ImageAccess(ImageLimits(max_pixels=1 << 20), SharedFolder(tmp_path))
    (found,) = lazily_read([image], access, lambda _: None)
    with pytest.raises(InvalidImageError, match=f"^{told}"):
        found.donors[0].read()
