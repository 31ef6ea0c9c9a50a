"""Which other images the images of a task are handed."""

from collections.abc import Sequence

from heatproof.evaluators.metrics import Concordance, Deletion, Focus, Metric
from heatproof.server.workers.donors import DonorPool
from heatproof.server.workers.inputs import Blob, EncodedSource, StoredImage

LABELS = (0, 0, 0, 1, 2, None)


def stored(number: int, label: int | None) -> StoredImage:
    pixels = EncodedSource(Blob(f"{number + 100:064x}"))
    return StoredImage(f"{number:064x}", f"{number}.png", pixels, label=label)


IMAGES = tuple(stored(number, label) for number, label in enumerate(LABELS))


def supplied(
    images: Sequence[StoredImage], task: Sequence[StoredImage], metric: Metric
) -> tuple[StoredImage, ...]:
    return DonorPool.of(images, 3, (metric,)).supplied(task)


def test_donors_by_label_come_with_their_pixels() -> None:
    by_digest = {image.digest: image for image in IMAGES}
    for image in supplied(IMAGES, IMAGES[:3], Focus()):
        same = [by_digest[donor.digest] for donor in image.same_label_donors]
        other = [by_digest[donor.digest] for donor in image.other_label_donors]
        assert [one.label for one in same] == [0]
        assert same[0].digest != image.digest
        assert {one.label for one in other} == {1, 2}
        handed = (*image.same_label_donors, *image.other_label_donors)
        for one, donor in zip([*same, *other], handed, strict=True):
            assert donor.pixels == one.pixels
    (unlabelled,) = supplied(IMAGES, IMAGES[5:], Focus())
    assert unlabelled.same_label_donors == unlabelled.other_label_donors == ()


def test_neither_the_order_of_the_set_nor_shards_matter() -> None:
    whole = supplied(IMAGES, IMAGES, Focus())
    parts = [supplied(IMAGES[::-1], [image], Focus())[0] for image in IMAGES]
    assert list(whole) == parts


def test_copies_with_several_labels_are_donors_of_nobody() -> None:
    torn = (*IMAGES, stored(1, 2))
    for image in supplied(torn, (IMAGES[0], IMAGES[2], IMAGES[3], stored(1, 2)), Focus()):
        handed = (*image.same_label_donors, *image.other_label_donors)
        assert IMAGES[1].digest not in {donor.digest for donor in handed}
        assert bool(handed) == (image.digest != IMAGES[1].digest)


def test_who_reads_no_labels_is_handed_none_of_them() -> None:
    (pair,) = supplied(IMAGES, IMAGES[:1], Concordance())
    assert pair.donors
    assert pair.partner
    assert pair.same_label_donors == pair.other_label_donors == ()
    assert supplied(IMAGES, IMAGES, Deletion()) == IMAGES
