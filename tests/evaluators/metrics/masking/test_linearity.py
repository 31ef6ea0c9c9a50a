from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import Linearity
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator
from tests.evaluators.metrics.masking.tapped import Tapped
from tests.evaluators.toys import SIDE, ToyPredictor, ask, case_of, facts, features, pixels, planned

MIXING = np.random.default_rng(3).normal(size=(5, 3))


def bent(images: np.ndarray) -> np.ndarray:
    """Features that do not add up."""
    mixed = np.einsum("kc,nchw->nkhw", MIXING, features(images).astype(np.float64))
    return np.maximum(mixed - mixed.mean(axis=(2, 3), keepdims=True), 0).astype(np.float32)


def first_alone(masks: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The view that shows the first patch, and not the last."""
    return np.asarray(masks[:, 0, 0] & ~masks[:, -1, -1])


def scored(model: ToyPredictor, removal: RemovalOperator | None = None, patch: int = 16) -> Outcome:
    return ask(Linearity(patch).score(case_of(model, pixels(), removal=removal)), model)


def patches(image: np.ndarray, paint: float) -> list[np.ndarray]:
    """The image with all but a quarter painted."""
    made = []
    for top in (0, 16):
        for left in (0, 16):
            part = np.full_like(image, paint)
            part[:, top : top + 16, left : left + 16] = image[:, top : top + 16, left : left + 16]
            made.append(part)
    return made


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_a_linear_network_is_linear() -> None:
    found = scored(Tapped(), Black())
    assert found.score == pytest.approx(1, abs=1e-12)
    assert found.parts["distance"] == pytest.approx(0, abs=1e-6)
    assert found.parts["n_zero_coverage"] == 0


def test_a_mean_over_visible_cells_adds_up_to_n_times_the_features() -> None:
    """The published distance of a linear network with a renormalized pool is n - 1."""
    flat = Tapped(lambda images: np.where(features(images) > 0, np.float32(0.5), np.float32(0)))
    found = scored(flat, Layer())
    assert found.score == pytest.approx(1, abs=1e-12)
    assert found.parts["distance"] == pytest.approx(3, abs=1e-6)
    assert found.parts["weighted_cosine"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("removal", "paint"), [(Black(), 0.0), (Grey(), None)])
def test_scores_agree_with_an_independent_reading(
    removal: RemovalOperator, paint: float | None
) -> None:
    image = pixels()
    own = patches(image, 0.0)
    if paint is None:  # ImageNet's mean colour
        colour = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
        own = [np.where(part == 0, colour, part).astype(np.float32) for part in own]
    parts = bent(np.stack(own)).astype(np.float64).mean(axis=(2, 3))
    union = bent(image[None]).astype(np.float64).mean(axis=(2, 3))[0]
    found = scored(Tapped(bent), removal)
    assert found.score == pytest.approx(cosine(parts.sum(axis=0), union), rel=1e-6)
    distance = np.linalg.norm(parts.sum(axis=0) - union) / (np.linalg.norm(union) + 1e-8)
    assert found.parts["distance"] == pytest.approx(distance, rel=1e-6)
    assert isinstance(found.score, float)
    assert found.score < 0.99999


def test_patches_that_vanish_count_as_nothing_and_are_counted() -> None:
    parts = bent(np.stack(patches(pixels(), 0.0))).astype(np.float64).mean(axis=(2, 3)) * 4
    union = bent(pixels()[None]).astype(np.float64).mean(axis=(2, 3))[0]
    found = scored(Tapped(bent, vanishes=first_alone), Layer())
    assert found.parts["n_zero_coverage"] == 1
    assert found.score == pytest.approx(cosine(parts[1:].sum(axis=0), union), rel=1e-6)


def test_an_image_without_features_has_no_score() -> None:
    score = scored(Tapped(lambda images: np.zeros_like(features(images)))).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DEGENERATE


def test_what_does_not_fit_the_model_is_refused() -> None:
    known = replace(facts(), tensors=frozenset({"features"}))
    for metric, model, field in (
        (Linearity(SIDE // 2 + 1), known, "patch"),
        (Linearity(16, tensor="featurs"), known, "tensor"),
        (Linearity(16), facts(cam_tensor=""), "tensor"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            metric.check(planned(model))
        assert caught.value.field == field


def test_patches_of_different_size_count_by_what_the_network_sees_of_them() -> None:
    """Three patches a side of 32 pixels: 10, 11 and 11 of them."""
    edges, image = (0, 10, 21, 32), pixels()
    parts, seen = [], []
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            part = np.zeros_like(image)
            part[:, top:bottom, left:right] = image[:, top:bottom, left:right]
            seen.append((bottom - top) * (right - left) / SIDE**2)
            parts.append(bent(part[None]).astype(np.float64).mean(axis=(2, 3))[0] / seen[-1])
    union = bent(image[None]).astype(np.float64).mean(axis=(2, 3))[0]
    found = scored(Tapped(bent), Layer(), patch=11)
    assert found.score == pytest.approx(cosine(np.sum(parts, axis=0), union), rel=1e-6)
    weighted = np.array(seen) @ np.array(parts)
    assert found.parts["weighted_cosine"] == pytest.approx(cosine(weighted, union), rel=1e-6)
    assert abs(cosine(weighted, union) - found.score) > 1e-5
    magnitude = np.mean([np.linalg.norm(part) for part in parts])
    assert found.parts["patch_magnitude"] == pytest.approx(magnitude, rel=1e-6)
    assert found.parts["image_magnitude"] == pytest.approx(np.linalg.norm(union), rel=1e-6)
