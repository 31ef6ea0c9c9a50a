from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore, Summary
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Centre
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import DasguptaConsistency
from heatproof.evaluators.outcomes import Reason, Score, Undefined
from tests.evaluators.metrics.localization.scoring import reason, scored
from tests.evaluators.toys import SIDE, facts, planned

SPEC = EvaluationSpec(
    models=("m",),
    preprocessing=PRESETS["unit"],
    metrics=(DasguptaConsistency(),),
    explainers=(Centre(),),
)
HOLE = Undefined(Reason.DEGENERATE, "constant map")


def columns(images: Sequence[tuple[Score, float]], digests: Sequence[int]) -> Columns:
    """Of images by their codes and classes."""
    return tabulated(
        SPEC,
        [
            ImageResult(
                f"{digest:064x}",
                "",
                None,
                (),
                (ImageScore(0, code, {"predicted_class": answer}, {}),),
            )
            for digest, (code, answer) in zip(digests, images, strict=True)
        ],
    )


def summary(images: Sequence[tuple[Score, float]], digests: Sequence[int] | None = None) -> Summary:
    held = columns(images, digests or range(len(images)))
    return summarize(SPEC, held)[0].summary


CODES = st.sampled_from([0.0, 1.0, 2.0, 7.0])
SETS = st.lists(st.tuples(CODES | st.just(HOLE), st.sampled_from([0.0, 1.0])), max_size=14)


@given(SETS)
def test_pairs_of_one_code_are_counted(images: list[tuple[Score, float]]) -> None:
    shares, alone, holes = [], 0, 0
    for place, (code, answer) in enumerate(images):
        if isinstance(code, Undefined):
            holes += 1
            continue
        near = [one for at, (other, one) in enumerate(images) if at != place and other == code]
        alone += not near
        if near:
            shares.append(sum(one == answer for one in near) / len(near))
    found = summary(images)
    assert found.scored == len(shares)
    assert found.value == (pytest.approx(np.mean(shares)) if shares else None)
    expected = {"NO_DONOR": alone, "DEGENERATE": holes}
    assert found.undefined == {name: count for name, count in expected.items() if count}
    assert found.interval is None
    assert found.standard_error is None


@given(SETS, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(
    images: list[tuple[Score, float]], random: object
) -> None:
    places = list(range(len(images)))
    random.shuffle(places)  # type: ignore[attr-defined]  # one of the standard library
    moved = summary([images[place] for place in places], places)
    before = summary(images)
    assert moved.undefined == before.undefined
    assert moved.value == (None if before.value is None else pytest.approx(before.value))


def test_copies_of_an_image_are_no_partners() -> None:
    images: list[tuple[Score, float]] = [(3.0, 0.0)] * 3 + [(3.0, 1.0)]
    assert summary(images).value == pytest.approx((2 / 3 * 3 + 0) / 4)
    assert summary(images, [0, 0, 1, 2]).value == pytest.approx((1 / 2 * 2 + 0) / 3)
    assert summary(images[:2], [5, 5]).undefined == {"NO_DONOR": 1}


def test_an_image_tells_its_highest_cell_and_its_class() -> None:
    rows, places = np.mgrid[:SIDE, :SIDE]
    made = -np.hypot(rows - 20, places - 13)
    found = scored(DasguptaConsistency(4), made, None)
    assert found.score == 2 * 4 + 1  # cells of 8 pixels
    assert found.parts == {"predicted_class": 0.0}
    assert reason(DasguptaConsistency(), np.ones((SIDE, SIDE)), None) is Reason.DEGENERATE


def test_cells_under_a_pixel_are_refused() -> None:
    DasguptaConsistency(SIDE).check(planned(facts()))
    with pytest.raises(InvalidArgumentError, match="at most 32"):
        DasguptaConsistency(SIDE + 1).check(planned(facts()))
