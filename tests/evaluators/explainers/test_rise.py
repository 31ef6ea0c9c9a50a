"""RISE over removal operators other than black."""

from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Rise
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.removal import (
    REMOVALS,
    Black,
    Blur,
    Grey,
    Inpaint,
    Layer,
    LinearImputation,
    Neighbourhood,
    RemovalOperator,
    White,
)
from tests.evaluators.toys import SIDE, ask, bound, facts, linear, pixels, sample_of

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))


def seen(explainer: Rise, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map, and the pictures that the model saw of it."""
    predictor = linear(WEIGHTS)
    # Of one digest, so that all pictures meet the same masks.
    sample = replace(sample_of(predictor, image), digest="ab" * 32)
    predictor.batches.clear()
    explainer.check(predictor.facts)
    found = ask(explainer.explain(sample), predictor)
    assert not isinstance(found, Undefined)
    return found, np.concatenate(predictor.batches)[: explainer.masks]


@pytest.mark.parametrize("removal", [White(), Grey(), Blur(3.0)])
def test_smooth_masks_blend_the_image_with_what_the_operator_leaves(
    removal: RemovalOperator,
) -> None:
    image, white = pixels(), np.ones((3, SIDE, SIDE), np.float32)
    masks = seen(Rise(8, 5), white)[1]  # a white image over black shows the masks
    start = bound(removal, image)(np.zeros((SIDE, SIDE), np.bool_))
    found, pictures = seen(Rise(8, 5, removal=removal), image)
    np.testing.assert_allclose(pictures, masks * image + (1 - masks) * start, atol=1e-6)
    scores = [probability(picture) for picture in pictures]
    expected = np.tensordot(scores, masks[:, 0].astype(np.float64), axes=1) / (8 * 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def probability(picture: np.ndarray) -> float:
    logits = linear(WEIGHTS)._logits(picture).astype(np.float32).astype(np.float64)
    return float(np.exp(logits[0]) / np.exp(logits).sum())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_hard_masks_show_a_pixel_by_the_published_probability(share: float) -> None:
    image = np.ones((3, SIDE, SIDE), np.float32)
    pictures = seen(Rise(900, 5, share, smooth=False), image)[1][:, 0]
    assert set(np.unique(pictures)) <= {0.0, 1.0}
    # 36 cells or fewer a mask are drawn each by itself.
    assert abs(pictures.mean() - share) < 0.02
    assert (np.abs(pictures.mean(axis=0) - share) < 6 * np.sqrt(share * (1 - share) / 900)).all()


@pytest.mark.parametrize(
    "removal", [Inpaint(), LinearImputation(), Neighbourhood(), Layer()], ids=lambda one: one.name
)
def test_what_cannot_be_blended_takes_hard_masks_alone(removal: RemovalOperator) -> None:
    with pytest.raises(InvalidArgumentError, match="set smooth to false") as caught:
        Rise(removal=removal).check(facts())
    assert caught.value.field == "smooth"
    found, pictures = seen(Rise(6, 4, removal=removal, smooth=False), pixels())
    assert np.isfinite(found).all()
    assert len(pictures) == 6


def test_layer_masking_is_told_the_masks() -> None:
    predictor = linear(WEIGHTS)
    explainer = Rise(8, 4, removal=Layer(), smooth=False)
    found = ask(explainer.explain(sample_of(predictor, pixels())), predictor)
    black = ask(
        Rise(8, 4, removal=Black(), smooth=False).explain(sample_of(predictor, pixels())), predictor
    )
    assert [masks.shape for masks in predictor.masks] == [(4, SIDE, SIDE)] * 2
    assert np.array_equal(found, black)  # the toy's masked form paints black


def test_operators_say_whether_they_blend() -> None:
    assert {name for name in REMOVALS if not REMOVALS[name]().blends} == {
        "inpaint",
        "layer",
        "linear_imputation",
        "neighbourhood",
    }
