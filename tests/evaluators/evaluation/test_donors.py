"""Other images of the data set: who is handed which, and what is done with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.donors import DonorDraw, Pairing, donors_read
from heatproof.evaluators.evaluation.engine import evaluate, explain, predict_masked
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import IntegratedGradients, Occlusion, Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, SourceImage
from heatproof.evaluators.metrics import Case, Deletion, Metric, MonotonicityCorrelation
from heatproof.evaluators.metrics.metric import MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Donor
from tests.evaluators.toys import SIDE, linear

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(Deletion(4, 4),),
    explainers=(Random(4),),
    removals=(Donor(),),
)


def alone(digests: Sequence[str], seed: int) -> DonorDraw:
    """A draw over images without groups."""
    return DonorDraw(dict.fromkeys(digests, ""), seed)


sets = st.sets(st.integers(0, 10**6).map(lambda number: f"{number:064x}"), min_size=2, max_size=20)


@given(sets, st.integers(0, 9), st.integers(1, 5))
def test_donors_are_others_and_depend_on_the_set_but_not_on_its_order(
    digests: set[str], seed: int, count: int
) -> None:
    draw, back = alone(sorted(digests), seed), alone(sorted(digests)[::-1], seed)
    for digest in digests:
        drawn = draw.donors(digest, count)
        assert len(drawn) == count
        assert digest not in drawn
        assert set(drawn) < digests
        assert back.donors(digest, count) == drawn
        assert draw.donors(digest, 5)[:count] == drawn


@given(sets, st.integers(0, 9))
def test_pairs_are_disjoint_and_leave_one_of_an_odd_number_over(
    digests: set[str], seed: int
) -> None:
    draw, back = alone(sorted(digests), seed), alone(sorted(digests)[::-1], seed)
    pairings = {digest: draw.pairing(digest) for digest in digests}
    assert list(pairings.values()).count(None) == len(digests) % 2
    for digest, pairing in pairings.items():
        assert back.pairing(digest) == pairing
        if pairing is not None:
            assert pairing.partner != digest
            assert pairings[pairing.partner] == Pairing(digest, not pairing.leads)


@given(sets, st.integers(0, 9))
def test_a_set_without_groups_is_shuffled_and_paired_two_by_two(
    digests: set[str], seed: int
) -> None:
    names = sorted(digests)
    shuffled = [names[at] for at in generator(seed, "", "pairs").permutation(len(names))]
    draw = alone(names, seed)
    for first, second in zip(shuffled[::2], shuffled[1::2], strict=False):
        assert draw.pairing(first) == Pairing(second, leads=True)
        assert draw.pairing(second) == Pairing(first, leads=False)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 9))
def test_pairs_of_grouped_images_join_two_groups_that_no_other_pairs_touch(
    sizes: list[int], seed: int
) -> None:
    groups = {
        f"{100 * group + image:064x}": f"patient {group}"
        for group, size in enumerate(sizes)
        for image in range(size)
    }
    draw = DonorDraw(groups, seed)
    pairings = {digest: pairing for digest in groups if (pairing := draw.pairing(digest))}
    led_by = {
        (groups[digest], groups[pairing.partner])
        for digest, pairing in pairings.items()
        if pairing.leads
    }
    named = [name for pair in led_by for name in pair]
    assert len(set(named)) == len(named) == len(sizes) // 2 * 2
    for ahead, behind in led_by:
        paired = [digest for digest in pairings if groups[digest] in {ahead, behind}]
        assert len(paired) == 2 * min(sizes[int(name[8:])] for name in (ahead, behind))
    for digest, pairing in pairings.items():
        assert draw.pairing(pairing.partner) == Pairing(digest, not pairing.leads)


def test_every_other_image_is_drawn_as_often_and_another_seed_draws_anew() -> None:
    digests = [f"{number:064x}" for number in range(5)]
    drawn = [alone(digests, seed).donors(digests[2], 1)[0] for seed in range(2000)]
    counts = [drawn.count(digest) for digest in digests]
    assert counts[2] == 0
    # 500 expected with a standard deviation of 19
    assert all(abs(count - 500) < 100 for place, count in enumerate(counts) if place != 2)


def test_a_set_of_one_image_or_of_its_copies_has_no_donor() -> None:
    draw = alone(["ab", "ab"], 0)
    assert draw.donors("ab", 3) == ()
    assert draw.pairing("ab") is None


def test_who_reads_donors_is_found_inside_of_explainers_too() -> None:
    assert donors_read(SPEC.registered) == 1
    assert donors_read(replace(SPEC, removals=(Black(),)).registered) == 0
    nested = replace(SPEC, removals=(Black(),), explainers=(Occlusion(removal=Donor()),))
    assert donors_read(nested.registered) == 1


def test_a_metric_of_several_draws_is_handed_a_donor_for_each() -> None:
    drawing = replace(SPEC, metrics=(MonotonicityCorrelation(draws=5), Deletion(4, 4)))
    assert donors_read(drawing.registered) == 5
    assert donors_read(replace(drawing, removals=(Black(),)).registered) == 0


def source(seed: int, donors: Sequence[int] = ()) -> SourceImage:
    drawn = [DonorImage(f"{other:064x}", lambda other=other: drawing(other)) for other in donors]
    return SourceImage(
        f"{seed:064x}",
        f"{seed}.png",
        drawing(seed),
        donors=tuple(drawn),
        partner=drawn[0] if drawn else None,
    )


def drawing(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def seen(seed: int) -> np.ndarray:
    return drawing(seed).astype(np.float32).transpose(2, 0, 1) / np.float32(255)


def shares(image: np.ndarray) -> float:
    logit = float(np.float32((WEIGHTS * image.astype(np.float64)).sum()))
    return float(np.exp(logit) / (np.exp(logit) + 2))


def test_the_operator_shows_the_donor_where_the_image_is_hidden() -> None:
    spec = replace(SPEC, metrics=(Deletion(grid=2, steps=1),))
    (found,) = evaluate(spec, [source(1, [2])], {"models/toy": linear(WEIGHTS)}, lambda _: None)
    expected = (shares(seen(1)) + shares(seen(2))) / 2
    assert found.scores[0].score == pytest.approx(expected, abs=1e-6)


def test_without_a_donor_what_reads_one_has_a_status_and_the_rest_a_score() -> None:
    spec = replace(
        SPEC,
        explainers=(Random(4), Occlusion(16, 16, removal=Donor())),
        removals=(Donor(), Black()),
    )
    (found,) = evaluate(spec, [source(1)], {"models/toy": linear(WEIGHTS)}, lambda _: None)
    scores = [score.score for score in found.scores]
    reasons = [score.reason if isinstance(score, Undefined) else None for score in scores]
    assert reasons == [Reason.NO_DONOR, Reason.NO_DONOR, None, Reason.NO_DONOR]


def test_a_baseline_is_the_donor() -> None:
    spec = replace(
        SPEC, metrics=(), removals=(), explainers=(IntegratedGradients(baseline=Donor()),)
    )
    (made,) = explain(spec, [source(1, [2])], linear(WEIGHTS))
    expected = (WEIGHTS * (seen(1).astype(np.float64) - seen(2))).sum(axis=0)
    np.testing.assert_allclose(made.values, expected, atol=1e-9)


def test_one_image_alone_is_refused_the_operator() -> None:
    masks = np.zeros((1, SIDE, SIDE), np.bool_)
    with pytest.raises(InvalidArgumentError, match="one image alone: choose another") as caught:
        predict_masked(source(1), masks, Donor(), PRESETS["unit"], linear(WEIGHTS))
    assert caught.value.field == "removal"


@dataclass(frozen=True, slots=True)
class Foreign(Metric):
    """Reads the confidence in another image; lives in this test alone."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="foreign",
        reference="test",
        category=MetricCategory.MASKING,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.DONORS,),
    )

    @property
    def donors(self) -> int:
        return 2

    def score(self, case: Case) -> Procedure[Outcome]:
        assert case.partner is not None
        assert case.partner.digest == case.donors[0].digest
        answer = yield from predict(case.sample.view(image=case.donors[1].image))
        return Outcome(case.sample.probability(answer))


def test_a_metric_sees_as_many_others_as_it_asks_for() -> None:
    spec = replace(SPEC, metrics=(Foreign(),), explainers=(), removals=())
    assert donors_read(spec.registered) == 2
    (found,) = evaluate(spec, [source(1, [2, 3])], {"models/toy": linear(WEIGHTS)}, lambda _: None)
    assert found.scores[0].score == pytest.approx(shares(seen(3)), abs=1e-6)
    (found,) = evaluate(spec, [source(1)], {"models/toy": linear(WEIGHTS)}, lambda _: None)
    assert found.scores[0].score == Undefined(
        Reason.NO_DONOR,
        "foreign reads another image of the data set, and there is one image alone: send at least "
        "two that differ",
    )
