import numpy as np
import pytest
from scipy.ndimage import sobel

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import explain
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.requirements import check_explainers
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Disturbed,
    Edges,
    Explainer,
    Inverse,
    Occlusion,
    Random,
    Saliency,
    Supplied,
)
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMap, SourceImage
from heatproof.evaluators.metrics import Deletion, MaxSensitivity
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.removal import Black
from tests.evaluators.toys import SIDE, ask, facts, linear, pixels, sample_of

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))


def made(explainer: Explainer, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    predictor = linear(WEIGHTS * scale)
    found = ask(explainer.explain(sample_of(predictor, pixels(seed))), predictor)
    assert not isinstance(found, Undefined)
    return found


def test_edges_are_the_sobel_magnitude_of_the_luminance_whatever_the_model() -> None:
    red, green, blue = pixels().astype(np.float64)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = np.hypot(sobel(luminance, 0, mode="reflect"), sobel(luminance, 1, mode="reflect"))
    found = made(Edges())
    np.testing.assert_allclose(found, expected, atol=1e-12)  # float64 sums of nine
    assert np.array_equal(found, made(Edges(), scale=-3))
    assert not np.array_equal(found, made(Edges(), seed=1))


@pytest.mark.parametrize("other", [Random(4), Saliency(), Occlusion(8, 8)])
def test_the_inverse_is_the_negative_map_at_the_same_cost(other: Explainer) -> None:
    assert np.array_equal(made(Inverse(other)), -made(other))
    model = facts()
    assert Inverse(other).cost(model) == other.cost(model)
    assert Inverse(other).passes(model) == other.passes(model)


@pytest.mark.parametrize("other", [Saliency(), Occlusion(8, 8)])
def test_the_noise_of_a_disturbed_map_has_the_share_asked_for_and_is_that_of_all_maps(
    other: Explainer,
) -> None:
    cells = SIDE // 2
    plain, disturbed = made(other), made(Disturbed(other, cells, 0.2))
    noise = (disturbed - plain) / plain.std()
    blocks = noise.reshape(cells, 2, cells, 2)
    np.testing.assert_allclose(
        blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape), atol=1e-9
    )
    drawn = blocks[:, 0, :, 0]
    assert abs(drawn.std() / 0.2 - 1) < 4 / np.sqrt(2 * drawn.size)
    assert abs(drawn.mean()) < 4 * 0.2 / np.sqrt(drawn.size)
    again = (made(Disturbed(Edges(), cells, noise=0.2)) - made(Edges())) / made(Edges()).std()
    np.testing.assert_allclose(again, noise, atol=1e-9)
    model = facts()
    assert Disturbed(other).cost(model) == other.cost(model)


def test_what_the_other_one_refuses_is_refused_by_its_path() -> None:
    for control, field in (
        (Inverse(Occlusion(patch=33)), "explainers[0].inverse.of.occlusion.patch"),
        (Inverse(Random(0)), "explainers[0].inverse.of.random.grid"),
        (Inverse(Inverse()), "explainers[0].inverse.of"),
        (Disturbed(Occlusion(patch=33)), "explainers[0].disturbed.of.occlusion.patch"),
        (Disturbed(Disturbed()), "explainers[0].disturbed.of"),
        (Disturbed(grid=SIDE + 1), "explainers[0].disturbed.grid"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            check_explainers((control,), facts())
        assert caught.value.field == field


def spec_of(*metrics: Deletion | MaxSensitivity) -> EvaluationSpec:
    return EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=metrics,
        explainers=(Inverse(Supplied("own")),),
        removals=(Black(),) if Deletion(4, 4) in metrics else (),
    )


def test_the_inverse_of_a_supplied_map_reads_it() -> None:
    drawn = (pixels() * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    values = np.random.default_rng(3).random((SIDE, SIDE), np.float32)
    maps = {"own": FramedMap(Frame.MODEL_INPUT, values)}
    images = [
        SourceImage("ab", "x", drawn, attribution_maps=maps),
        SourceImage("cd", "y", drawn),
    ]
    found = [explanation.values for explanation in explain(spec_of(), images, linear(WEIGHTS))]
    assert np.array_equal(found[0], -values.astype(np.float64))
    assert isinstance(found[1], Undefined)
    assert found[1].reason is Reason.NO_MAP


def test_the_inverse_of_a_supplied_map_is_refused_as_the_map_is() -> None:
    without = Inventory.of([KnownImage("x")])
    with pytest.raises(InvalidArgumentError, match="came without a map named 'own'"):
        plan(spec_of(Deletion(4, 4)), {"models/toy": facts()}, without)
    with_maps = Inventory.of([KnownImage("x", maps=frozenset({"own"}))])
    with pytest.raises(InvalidArgumentError, match="makes every map anew, which inverse cannot"):
        plan(spec_of(MaxSensitivity()), {"models/toy": facts()}, with_maps)
