from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.donors import DonorDraw
from heatproof.evaluators.evaluation.engine import evaluate, plan
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer, Lime
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, SourceImage
from heatproof.evaluators.metrics import Focus
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Boxes
from tests.evaluators.toys import SIDE, facts, linear, planned

MODEL = "models/toy"


@dataclass(frozen=True, slots=True)
class Seen(Explainer):
    """Shows the image itself, if the class is asked for that it names; lives in this test alone."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="seen", reference="test", category=ExplainerCategory.CONTROLS
    )

    explains: int = 1
    power: float = 1.0

    def cost(self, model: PredictorFacts) -> int:  # noqa: ARG002  # as the seam says
        return 0

    def explain(self, sample: Sample) -> Procedure[Map]:
        yield from ()
        image = sample.image.draw().astype(np.float64).sum(axis=0) ** self.power
        return image if sample.target.class_index == self.explains else -image


SPEC = EvaluationSpec(
    models=(MODEL,),
    preprocessing=PRESETS["unit"],
    metrics=(Focus(),),
    explainers=(Seen(),),
)


def drawing(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def donor(seed: int, side: int = SIDE) -> DonorImage:
    return DonorImage(f"{seed:064x}", lambda: drawing(seed, side))


def source(
    *, label: int | None = 1, same: Sequence[int] = (2,), other: Sequence[int] = (3, 4)
) -> SourceImage:
    return SourceImage(
        f"{1:064x}",
        "1.png",
        drawing(1),
        label=label,
        donors=(donor(2),),
        same_label_donors=tuple(map(donor, same)),
        other_label_donors=tuple(map(donor, other)),
    )


def result(image: SourceImage, spec: EvaluationSpec = SPEC, side: int = SIDE) -> ImageResult:
    model = linear(np.full((3, side, side), 1e-3), own=facts(side=side))
    (found,) = evaluate(spec, [image], {MODEL: model}, lambda _: None)
    return found


def reason(image: SourceImage, spec: EvaluationSpec = SPEC) -> Reason:
    score = result(image, spec).scores[0].score
    assert isinstance(score, Undefined)
    return score.reason


def test_the_mass_of_the_tiles_of_the_label_is_taken() -> None:
    """Tiles keep the mean of their image, so that the places do not matter to the sum."""
    means = np.array([drawing(seed).mean(dtype=np.float64) for seed in (1, 2, 3, 4)])
    found = result(source()).scores[0]
    assert found.score == pytest.approx(means[:2].sum() / means.sum(), rel=1e-6)
    assert found.parts == {"chance": 0.5}


def test_tiles_are_means_of_four_pixels() -> None:
    blocks = [
        (drawing(seed) / 255).reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(1, 3)).sum(axis=2)
        for seed in (1, 2, 3, 4)
    ]
    masses = np.array([(block**3).sum() for block in blocks])
    found = result(source(), replace(SPEC, explainers=(Seen(power=3.0),))).scores[0]
    assert found.score == pytest.approx(masses[:2].sum() / masses.sum(), rel=1e-5)


def test_a_map_of_ones_scores_half() -> None:
    found = result(source(), replace(SPEC, explainers=(Seen(power=0.0),))).scores[0]
    assert found.score == 0.5


def test_sides_that_cannot_be_halved_share_all_pixels() -> None:
    side = 25
    image = replace(
        source(),
        pixels=drawing(1, side),
        donors=(donor(2, side),),
        same_label_donors=(donor(2, side),),
        other_label_donors=(donor(3, side), donor(4, side)),
    )
    spec = replace(SPEC, explainers=(Seen(power=0.0),))
    found = result(image, spec, side).scores[0]
    assert found.score == found.parts["chance"]
    assert found.score in {300 / 625, 312 / 625, 313 / 625, 325 / 625}


def test_places_are_drawn() -> None:
    """Over seeds the image lies in each of the corners."""

    @dataclass(frozen=True, slots=True)
    class Corner(Seen):
        def explain(self, sample: Sample) -> Procedure[Map]:  # noqa: ARG002  # as the seam says
            yield from ()
            made = np.zeros((SIDE, SIDE))
            made[0, 0] = 1
            return made

    spec = replace(SPEC, explainers=(Corner(),))
    scores = [result(source(), replace(spec, seed=seed)).scores[0].score for seed in range(24)]
    assert {0.0, 1.0} == set(scores)
    assert 4 <= sum(score == 1 for score in scores) <= 20


def test_the_label_is_explained_whatever_the_evaluation_explains() -> None:
    assert reason(source(), replace(SPEC, explainers=(Seen(explains=0),))) is Reason.DEGENERATE


def test_what_the_set_lacks_has_a_status() -> None:
    assert reason(source(label=None)) is Reason.NO_LABEL
    assert reason(source(same=())) is Reason.NO_DONOR
    assert reason(source(other=(3,))) is Reason.NO_DONOR


def test_a_set_without_labels_is_refused_and_one_with_some_is_not() -> None:
    known = [KnownImage("x", label=1), KnownImage("y")]
    plan(SPEC, {MODEL: facts()}, Inventory.of(known))
    with pytest.raises(InvalidArgumentError, match="none of 1 images has one: label") as caught:
        plan(SPEC, {MODEL: facts()}, Inventory.of(known[1:]))
    assert caught.value.field == "metrics[0].focus"


def test_explainers_that_read_boxes_and_inputs_of_one_pixel_are_refused() -> None:
    Focus().check(planned(facts(), explainer=Seen()))
    with pytest.raises(InvalidArgumentError, match="boxes that lime reads"):
        Focus().check(planned(facts(), explainer=Lime(regions=Boxes())))
    with pytest.raises(InvalidArgumentError, match="1 x 1"):
        Focus().check(planned(facts(side=1), explainer=Seen()))


SETS = st.dictionaries(
    st.integers(0, 10**6).map(lambda number: f"{number:064x}"),
    st.sampled_from([None, 0, 1, 2]),
    min_size=1,
    max_size=16,
)


@given(SETS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_donors_by_label_depend_on_the_set_and_not_on_its_order(
    labels: dict[str, int | None], seed: int, random: object
) -> None:
    held = list(labels)
    random.shuffle(held)  # type: ignore[attr-defined]  # one of the standard library

    def draw_of(digests: Sequence[str]) -> DonorDraw:
        known = {digest: label for digest in digests if (label := labels[digest]) is not None}
        return DonorDraw(dict.fromkeys(digests, ""), seed, known)

    draw, other = draw_of(sorted(labels)), draw_of(held)
    for digest, label in labels.items():
        same, others = draw.of_same_label(digest, 3), draw.of_other_labels(digest, 3)
        alike = {one for one in labels if labels[one] == label and one != digest}
        unlike = {one for one in labels if labels[one] not in (None, label)}
        if label is None:
            alike = unlike = set()
        for drawn, pool in ((same, alike), (others, unlike)):
            assert len(drawn) == len(set(drawn)) == min(3, len(pool))
            assert set(drawn) <= pool
        assert other.of_same_label(digest, 3) == same
        assert other.of_other_labels(digest, 3) == others
        assert draw.of_other_labels(digest, 2) == others[:2]


def test_every_image_of_the_set_is_as_likely() -> None:
    digests = [f"{index:064x}" for index in range(6)]
    labels = dict(zip(digests, (0, 1, 0, 1, 1, 0), strict=True))
    pairs = [
        DonorDraw(dict.fromkeys(digests, ""), seed, labels).of_other_labels(digests[2], 2)
        for seed in range(1200)
    ]
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    assert len(counts) == 6
    assert all(abs(count - 200) < 4 * np.sqrt(200) for count in counts.values())
