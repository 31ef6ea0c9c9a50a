"""Concordance: by hand on toys, over a data set, and its pairs as units of sampling."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.donors import DonorDraw
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, SourceImage
from heatproof.evaluators.metrics import Concordance
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation
from heatproof.evaluators.removal import Black, Blur, Layer, Mean, Noise, RemovalOperator, White
from tests.evaluators.metrics.masking.tapped import Tapped
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    features,
    pixels,
    planned,
)

MIXING = np.random.default_rng(3).normal(size=(5, 3))
CAST = (pixels(1) * np.linspace(0.1, 1, 3 * SIDE).reshape(3, SIDE, 1)).astype(np.float32)
"""Darker at the top, and of another colour."""


def bent(images: np.ndarray) -> np.ndarray:
    """Features that tell images apart."""
    mixed = np.einsum("kc,nchw->nkhw", MIXING, features(images).astype(np.float64))
    found: np.ndarray = np.abs(mixed - 0.2).astype(np.float32)
    return found


def scored(
    metric: Concordance,
    removal: RemovalOperator | None = None,
    model: ToyPredictor | None = None,
    other: np.ndarray | None = None,
) -> Outcome:
    predictor = model or Tapped(bent)
    case = case_of(predictor, pixels(), removal=removal)
    assert case.given.sample is not None
    partner = Donation("partner", LazyImage.of(CAST if other is None else other))
    sample = replace(case.given.sample, partner=partner, leads_pair=True)
    given = replace(case.given, sample=sample)
    return ask(metric.score(replace(case, given=given)), predictor)


def small(image: np.ndarray, size: int) -> np.ndarray:
    """The image shrunk by Pillow, plane by plane."""
    side = round(SIDE * size / 224)
    planes = [
        np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR))
        for plane in image
    ]
    return np.clip(np.stack(planes), 0, 1)


def in_corner(image: np.ndarray, size: int, paint: float) -> np.ndarray:
    canvas = np.full_like(image, paint)
    shrunk = small(image, size)
    canvas[:, : shrunk.shape[1], : shrunk.shape[2]] = shrunk
    return canvas


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    one, other = bent(np.stack([first, second])).astype(np.float64).mean(axis=(2, 3))
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(("removal", "paint"), [(Black(), 0.0), (White(), 1.0), (Layer(), 0.0)])
@given(st.sets(st.integers(8, 223), min_size=1, max_size=3).map(sorted).map(tuple))
@settings(max_examples=15, deadline=None)
def test_scores_agree_with_an_independent_reading(
    removal: RemovalOperator, paint: float, sizes: tuple[int, ...]
) -> None:
    first, second = pixels(), CAST
    full = likeness(first, second)
    expected = [
        abs(likeness(in_corner(first, size, paint), in_corner(second, size, paint)) - full)
        for size in sizes
    ]
    found = scored(Concordance(sizes), removal)
    assert found.score == pytest.approx(np.mean(expected), abs=1e-6)
    parts = [found.parts[f"change_at_{size}_of_224"] for size in sizes]
    assert parts == pytest.approx(expected, abs=1e-6)


def test_what_an_operator_reads_of_the_hidden_rest_is_the_mean_of_the_small_image() -> None:
    first, second = pixels(), CAST
    canvases = []
    for image in (first, second):
        shrunk = small(image, 64)
        canvas = np.empty_like(image)
        canvas[...] = shrunk.mean(axis=(1, 2), keepdims=True)
        canvas[:, : shrunk.shape[1], : shrunk.shape[2]] = shrunk
        canvases.append(canvas)
    expected = abs(likeness(*canvases) - likeness(first, second))
    assert expected > 1e-4
    assert scored(Concordance((64,)), Mean()).score == pytest.approx(expected, abs=1e-6)
    assert scored(Concordance((64,)), Blur(sigma=3.0)).score != pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("removal", [Black(), Noise(), Layer()])
def test_an_image_and_itself_are_as_alike_at_every_size(removal: RemovalOperator) -> None:
    found = scored(Concordance(), removal, other=pixels())
    assert found.score == pytest.approx(0, abs=1e-12)


def test_a_network_that_reads_one_channel_alone_keeps_every_likeness() -> None:
    lone = Tapped(lambda images: features(images)[:, :1] + np.float32(0.5))
    assert scored(Concordance(), model=lone).score == pytest.approx(0, abs=1e-12)


def test_a_size_that_vanishes_has_a_status_and_takes_the_score_with_it() -> None:
    found = scored(
        Concordance((200, 32)), Layer(), Tapped(bent, lambda _, coverage: coverage < 0.1)
    )
    assert isinstance(found.score, Undefined)
    assert found.score.reason is Reason.ZERO_COVERAGE
    assert "change_at_32_of_224" in found.score.detail
    assert isinstance(found.parts["change_at_200_of_224"], float)
    assert isinstance(found.parts["change_at_32_of_224"], Undefined)


def test_both_images_are_asked_for_in_full_and_at_every_size() -> None:
    """Batches of four: one for the clean image, then eight views."""
    model, metric = Tapped(bent), Concordance((200, 128, 64))
    scored(metric, model=model)
    assert metric.cost(planned(facts())).views == 8
    assert len(model.batches) == 1 + 2


def test_images_without_features_have_no_likeness() -> None:
    score = scored(Concordance(), model=Tapped(lambda images: 0 * features(images))).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DEGENERATE


def drawing(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def evaluated(count: int, groups: tuple[str, ...] = ()) -> MetricResult:
    names = [f"{seed:064x}" for seed in range(count)]
    draw = DonorDraw(dict(zip(names, groups or [""] * count, strict=True)), 0)
    images = []
    for seed, name in enumerate(names):
        donors = [
            DonorImage(digest, lambda digest=digest: drawing(int(digest, 16)))  # type: ignore[misc]  # a default
            for digest in draw.donors(name, 1)
        ]
        paired = draw.pairing(name)
        other = None if paired is None else int(paired.partner, 16)
        images.append(
            SourceImage(
                name,
                f"{seed}.png",
                drawing(seed),
                group=groups[seed] if groups else "",
                donors=tuple(donors),
                partner=None
                if other is None
                else DonorImage(f"{other:064x}", lambda other=other: drawing(other)),  # type: ignore[misc]  # a default
                leads_pair=paired is not None and paired.leads,
            )
        )
    spec = EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=(Concordance((112, 56)),),
        removals=(Black(),),
    )
    results = list(evaluate(spec, images, {"models/toy": Tapped(bent)}, lambda _: None))
    (found,) = summarize(spec, tabulated(spec, results))
    return found


@pytest.mark.parametrize(
    ("count", "units", "undefined"),
    [
        (20, 10, {Reason.PAIRED: 10}),
        (17, 8, {Reason.PAIRED: 8, Reason.UNPAIRED: 1}),
        (1, 0, {Reason.NO_DONOR: 1}),
    ],
)
def test_the_pair_is_the_unit_and_what_is_left_over_is_counted(
    count: int, units: int, undefined: dict[str, int]
) -> None:
    summary = evaluated(count).summary
    assert (summary.units, summary.scored, summary.undefined) == (units, units, undefined)
    assert (summary.interval is not None) == (units >= 8)


def test_two_groups_of_paired_images_are_one_unit() -> None:
    groups = tuple(f"camera {seed % 6}" for seed in range(24))
    summary = evaluated(24, groups).summary
    assert (summary.units, summary.scored) == (3, 12)


@pytest.mark.parametrize(
    ("metric", "model", "field"),
    [
        (Concordance((64, 64)), facts(), "sizes"),
        (Concordance((64, 2)), facts(), "sizes[1]"),
        (Concordance(tensor="featurs"), None, "tensor"),
        (Concordance(), facts(cam_tensor=""), "tensor"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    metric: Concordance, model: object, field: str
) -> None:
    known = replace(facts(), tensors=frozenset({"features"})) if model is None else model
    with pytest.raises(InvalidArgumentError) as caught:
        metric.check(planned(known))  # type: ignore[arg-type]  # facts of a model
    assert caught.value.field == field
