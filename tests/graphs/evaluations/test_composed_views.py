"""What networks answer, and what they are handed, where their graphs draw the views themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Random
from heatproof.evaluators.images.compositions import Composition
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import Deletion, Insertion
from heatproof.evaluators.queries.known.answers import AnswerRow
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.removal import (
    Black,
    Blur,
    Layer,
    Masking,
    Mean,
    Mode,
    RemovalOperator,
)
from heatproof.graphs.composition import BEHIND, IMAGES
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.network import Feed
from heatproof.graphs.runtime.sessions import Session
from tests.graphs.evaluations.evaluating import known_image, opened
from tests.graphs.evaluations.test_bit_equality import NETWORKS, PREDICTED, SPECS

Parse = Callable[[str], onnx.ModelProto]

NAME = "models/nchw"
ODD = NETWORKS[NAME].replace("float[N, 3, 32, 32] image", "float[N, 3, 27, 35] image")
LARGE = NETWORKS[NAME].replace("float[N, 3, 32, 32] image", "float[N, 3, 96, 96] image")
PLAIN = ModelPass(NAME)
PASSES = {
    "plain": PLAIN,
    "tapped": replace(PLAIN, taps=("last",)),
    "gated": replace(PLAIN, gate="last"),
    "reference": replace(PLAIN, masking=Masking(Mode.REFERENCE)),
    "strict": replace(PLAIN, masking=Masking(Mode.STRICT), taps=("last",)),
    "gradient": replace(PLAIN, wrt=IMAGE),
    "inner gradient": replace(PLAIN, wrt="last"),
}


def shown(count: int, height: int, width: int) -> tuple[Composition, ...]:
    """Rows of two images over a colour, over each other, and whole."""
    rng = np.random.default_rng(count)
    one, other = (rng.random((3, height, width), np.float32) for _ in range(2))
    colour = np.full((3, 1, 1), 0.3, np.float32)
    backdrops = (colour, other, None)
    rows = []
    for place in range(count):
        behind = backdrops[place % 3]
        mask = rng.random((height, width)) < 0.5
        image = one if place % 2 == 0 else other
        rows.append(Composition(image) if behind is None else Composition(image, mask, behind))
    return tuple(rows)


def batch_of(rows: tuple[Composition, ...], run: ModelPass) -> Batch:
    rng = np.random.default_rng(5)
    count, (height, width) = len(rows), rows[0].image.shape[1:]
    return Batch(
        rows,
        None if run.masking is None else rng.random((count, height, width)) < 0.6,
        None if run.wrt is None else rng.normal(size=(count, 5)).astype(np.float32),
        None if run.gate is None else rng.random((count, 16), np.float32),
    )


def bits(answers: Answers) -> list[bytes]:
    own = (answers.logits, answers.coverage, answers.activations, answers.gradients)
    return [part.tobytes() for part in (*own, *answers.features.values()) if part is not None]


@pytest.mark.parametrize("rows", [2, 3, 5])
@pytest.mark.parametrize("kind", PASSES)
@pytest.mark.parametrize("text", [NETWORKS[NAME], NETWORKS["models/nhwc"], ODD])
def test_every_pass_has_the_bits_of_pixels_that_are_drawn(
    text_model: Parse, text: str, kind: str, rows: int
) -> None:
    model, run = text_model(text), PASSES[kind]
    drawing, composing = (opened(model, NAME, rows=rows, composed=one) for one in (False, True))
    assert composing.facts.composes
    assert not drawing.facts.composes
    facts = drawing.facts
    batch = batch_of(shown(rows, facts.height, facts.width), run)
    pixels = replace(batch, rows=np.stack([row.drawn() for row in batch.compositions]))
    expected = bits(drawing.submit(run, pixels).result())
    for predictor, told in ((composing, batch), (composing, pixels), (drawing, batch)):
        assert bits(predictor.submit(run, told).result()) == expected


def evaluated(
    models: Mapping[str, onnx.ModelProto],
    spec: EvaluationSpec,
    *,
    composed: bool,
    seeds: Sequence[int] = (4, 7),
    known: "Kept | None" = None,
) -> list[ImageResult]:
    predictors = {
        name: opened(model, name, threads=2, composed=composed) for name, model in models.items()
    }
    images = [known_image(seed, label=PREDICTED) for seed in seeds]
    held = None if known is None else dict.fromkeys(models, known)
    return list(evaluate(spec, images, predictors, lambda _: None, held))


@pytest.mark.parametrize("asked", SPECS)
def test_every_score_and_map_has_the_bits_of_pixels_that_are_drawn(
    text_model: Parse, asked: str
) -> None:
    models = {name: text_model(text) for name, text in NETWORKS.items()}
    seeds = (7,) if asked == "every metric" else (4, 7)
    drawn = evaluated(models, SPECS[asked], composed=False, seeds=seeds)
    assert evaluated(models, SPECS[asked], composed=True, seeds=seeds) == drawn


@dataclass
class Kept:
    """Keeps all answers, whatever model they are of."""

    rows: dict[bytes, AnswerRow] = field(default_factory=dict)
    missed: int = 0

    def find(self, key: bytes, place: int) -> AnswerRow | None:
        assert place >= 0
        self.missed += key not in self.rows
        return self.rows.get(key)

    def keep(self, key: bytes, place: int, row: AnswerRow) -> None:
        assert place >= 0
        self.rows[key] = row


def test_answers_are_known_by_the_same_names(text_model: Parse) -> None:
    models, kept = {NAME: text_model(NETWORKS[NAME])}, Kept()
    spec = replace(SPECS["every operator"], models=(NAME,))
    drawn = evaluated(models, spec, composed=False, known=kept)
    kept.missed = 0
    assert evaluated(models, spec, composed=True, known=kept) == drawn
    assert kept.missed == 0
    assert kept.rows


@dataclass
class Handed:
    """What sessions are handed, each array that lies on a device already counted once.

    Attributes:
        small: bytes beside images.
        images: bytes of images, in pixels or held.
        held: what lies on a device.
    """

    small: int = 0
    images: int = 0
    held: dict[int, ort.OrtValue] = field(default_factory=dict)

    def note(self, feeds: Mapping[str, Feed]) -> None:
        for name, feed in feeds.items():
            if isinstance(feed, ort.OrtValue):
                is_new, nbytes = id(feed) not in self.held, feed.tensor_size_in_bytes()
                self.held[id(feed)] = feed
            else:
                is_new, nbytes = True, feed.nbytes
            if name in {IMAGES, BEHIND, "image"}:
                self.images += nbytes * is_new
            else:
                self.small += nbytes * is_new


@contextmanager
def watched() -> Iterator[Handed]:
    handed, run = Handed(), Session.run

    def noting(session: Session, feeds: Mapping[str, Feed], *others: object) -> object:
        handed.note(feeds)
        return run(session, feeds, *others)  # type: ignore[arg-type] # handed on as they came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "run", noting)
        yield handed


CELLS = 8
VIEWS = 2 * CELLS * CELLS
PIXELS = 3 * 96 * 96 * 4
COLOUR = 3 * 4


def handed_over(model: onnx.ModelProto, removal: RemovalOperator, *, composed: bool) -> Handed:
    """By the curves of one image, whose views are 0, 1, ..., all but one of its cells hidden."""
    spec = EvaluationSpec(
        models=(NAME,),
        preprocessing=PRESETS["unit"],
        metrics=(Deletion(CELLS, VIEWS // 2), Insertion(CELLS, VIEWS // 2)),
        explainers=(Random(CELLS),),
        removals=(removal,),
    )
    predictor = opened(model, NAME, grouped=1, composed=composed)  # no batch is run twice
    predictor._canonical.row_check.run(predictor._cancellation)  # by rows of its own
    with watched() as handed:
        list(evaluate(spec, [known_image(7)], {NAME: predictor}, lambda _: None))
    return handed


@pytest.mark.parametrize(
    ("removal", "behind"),
    [
        (Black(), COLOUR),
        (Mean(), COLOUR),
        (Layer(), 0),
        (Layer(Mode.STRICT), 0),
        (Blur(), PIXELS),
    ],
)
def test_uploads_fall_by_the_number_of_views(
    text_model: Parse, removal: RemovalOperator, behind: int
) -> None:
    model = text_model(LARGE)
    drawn = handed_over(model, removal, composed=False)
    told = handed_over(model, removal, composed=True)
    assert drawn.images >= 0.9 * VIEWS * PIXELS
    assert told.images == PIXELS + behind + COLOUR  # the image, its backdrop, and that of none
    assert told.small <= 0.01 * drawn.images


def test_what_paints_anew_for_each_mask_is_handed_over_as_pixels(text_model: Parse) -> None:
    told = handed_over(text_model(LARGE), Black(smooth_edges=True), composed=True)
    assert told.images == VIEWS * PIXELS + COLOUR  # and what lies behind none of them


def test_models_whose_rows_share_scales_are_given_pixels(text_model: Parse) -> None:
    predictor = opened(text_model(NETWORKS[NAME]), NAME, composed=True)
    alone = GraphPredictor(
        replace(predictor._canonical, is_run_alone=True),
        predictor._sessions,
        model="models/alone",
        batch_size=2,
        cancellation=predictor._cancellation,
    )
    assert not alone.facts.composes
    batch = Batch(np.stack([row.drawn() for row in shown(2, 32, 32)]))
    assert len(alone.submit(ModelPass("models/alone"), batch).result().logits) == 2
