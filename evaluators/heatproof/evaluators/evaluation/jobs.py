"""What is done with one image: predicted, explained, scored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.plan import ResultKey, placed, result_keys
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
    Overlay,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec, Target
from heatproof.evaluators.explainers import Explainer, Supplied
from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.frames import image_to_input, map_to_input, mask_to_input
from heatproof.evaluators.images.overlay import overlay
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import Case, Setting
from heatproof.evaluators.outcomes import Curve, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.batching import Packer
from heatproof.evaluators.queries.first_answers import FirstAnswers
from heatproof.evaluators.queries.procedure import MaskedView, Picture, Prediction, predict
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.queries.scheduler import Job, Task

_TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One image with its maps, as one model sees it.

    Attributes:
        scene: the image.
        prediction: the model's answer to it.
        maps: a map for each explainer, or why there is none.
    """

    scene: Scene
    prediction: CleanPrediction
    maps: Mapping[Explainer, Map | Undefined]


def evaluation_job(
    spec: EvaluationSpec,
    packers: Mapping[str, Packer],
    index: int,
    image: SourceImage,
    watches: Mapping[str, FirstAnswers],
) -> Job[ImageResult]:
    """Evaluates one image with all models of a spec; `watches` see the answers to it."""
    predictions: list[CleanPrediction] = []
    scores: list[ImageScore] = []
    overlays: list[Overlay] = []
    keys = list(enumerate(result_keys(spec)))
    for model in spec.models:
        explained = yield from explanation_job(spec, packers[model], index, image, watches[model])
        own = [(place, key) for place, key in keys if key.models == (model,)]
        scores += yield from _scores(explained, packers[model], own)
        predictions.append(explained.prediction)
        if spec.keep_overlays:
            overlays += _overlays(model, explained)
    return ImageResult(
        image=image.digest,
        display_name=image.display_name,
        label=image.label,
        predictions=tuple(predictions),
        scores=tuple(scores),
        overlays=tuple(overlays),
        group=image.group,
        object_mask="" if image.object_mask is None else image.object_mask.digest,
    )


def explanation_job(
    spec: EvaluationSpec, packer: Packer, index: int, image: SourceImage, watch: FirstAnswers
) -> Job[Explained]:
    """Predicts and explains one image with one model; `watch` sees the answer to it."""
    facts = packer.facts
    _check_label(spec, image, index, facts.classes)
    preprocessing = spec.preprocessing.sized(facts.height, facts.width)
    with placed(f"images[{index}]"):
        picture = Picture.of(image_to_input(image.pixels, preprocessing))
    (clean,) = yield [Task(packer, predict(MaskedView(picture)))]
    watch.see(clean.logits)
    scene = Scene(
        facts=facts,
        picture=picture,
        digest=image.digest,
        seed=spec.seed,
        target=_target(spec, image, clean),
        clean=clean,
        maps=_supplied(spec, image, index, preprocessing),
        object_mask=_object_mask(image, index, preprocessing),
    )
    maps = yield from _maps(spec, packer, scene)
    return Explained(scene, _clean_prediction(facts.model, scene), maps)


def _check_label(spec: EvaluationSpec, image: SourceImage, index: int, classes: int) -> None:
    field = f"images[{index}].label"
    if image.label is None and spec.target is Target.LABEL:
        raise InvalidArgumentError(
            f"{image.display_name or field} has no label, but the label is to be explained: "
            "give it one, or explain the predicted class",
            field=field,
        )
    if image.label is not None and not 0 <= image.label < classes:
        raise InvalidArgumentError(
            f"{image.display_name or field} has the label {image.label}, but the model has "
            f"the classes 0 to {classes - 1}",
            field=field,
        )


def _target(spec: EvaluationSpec, image: SourceImage, clean: Prediction) -> int:
    if spec.target is Target.LABEL and image.label is not None:
        return image.label
    return int(clean.logits.argmax())


def _supplied(
    spec: EvaluationSpec, image: SourceImage, index: int, preprocessing: Preprocessing
) -> dict[str, Map]:
    """The caller's maps that some explainer takes, in the input frame."""
    wanted = {taken.map_name for taken in spec.explainers if isinstance(taken, Supplied)}
    maps: dict[str, Map] = {}
    source = image.pixels.shape[0], image.pixels.shape[1]
    for place, (name, attribution) in enumerate(image.attribution_maps.items()):
        if name in wanted:
            with placed(f"images[{index}].attribution_maps[{place}]"):
                maps[name] = map_to_input(attribution, source, preprocessing)
    return maps


def _object_mask(image: SourceImage, index: int, preprocessing: Preprocessing) -> Mask | None:
    """Where the object is in the input frame."""
    if image.object_mask is None:
        return None
    source = image.pixels.shape[0], image.pixels.shape[1]
    with placed(f"images[{index}].object_mask"):
        return mask_to_input(image.object_mask, source, preprocessing)


def _maps(
    spec: EvaluationSpec, packer: Packer, scene: Scene
) -> Job[dict[Explainer, Map | Undefined]]:
    """Makes each map once, however many metrics read it."""
    explainers = tuple(dict.fromkeys(spec.explainers))
    if not np.isfinite(scene.clean.logits).all():
        return dict.fromkeys(explainers, _not_finite("the model's answer to the clean image"))
    found = yield [Task(packer, explainer.explain(scene)) for explainer in explainers]
    return {explainer: _sound_map(made) for explainer, made in zip(explainers, found, strict=True)}


def _sound_map(made: Map | Undefined) -> Map | Undefined:
    if isinstance(made, Undefined) or np.isfinite(made).all():
        return made
    return _not_finite("the map")


def _not_finite(what: str) -> Undefined:
    return Undefined(Reason.NOT_FINITE, f"{what} holds NaN or infinity")


def _scores(
    explained: Explained, packer: Packer, keys: Sequence[tuple[int, ResultKey]]
) -> Job[list[ImageScore]]:
    """Scores an image by every result that can be scored; the others get their reason."""
    reasons = {place: _missing(explained, key) for place, key in keys}
    scored = [(place, key) for place, key in keys if reasons[place] is None]
    found = yield [Task(packer, key.metric.score(_case(explained, key))) for _, key in scored]
    outcomes = {place: _sound(made) for (place, _), made in zip(scored, found, strict=True)}
    for place, reason in reasons.items():
        if reason is not None:
            outcomes[place] = Outcome(reason)
    return [
        ImageScore(place, outcomes[place].score, outcomes[place].parts, outcomes[place].curves)
        for place, _ in keys
    ]


def _missing(explained: Explained, key: ResultKey) -> Undefined | None:
    if not np.isfinite(explained.scene.clean.logits).all():
        return _not_finite("the model's answer to the clean image")
    if key.explainer is None:
        return None
    made = explained.maps[key.explainer]
    return made if isinstance(made, Undefined) else None


def _case(explained: Explained, key: ResultKey) -> Case:
    setting = Setting(explained.scene.facts, key.removal, key.explainer)
    made = None if key.explainer is None else explained.maps[key.explainer]
    return Case(explained.scene, setting, None if isinstance(made, Undefined) else made)


def _sound(outcome: Outcome) -> Outcome:
    """Turns NaN and infinity, which only the model can bring in, into a status."""
    return Outcome(
        _sound_score(outcome.score),
        {name: _sound_score(part) for name, part in outcome.parts.items()},
        {name: curve for name, curve in outcome.curves.items() if _is_finite(curve)},
    )


def _sound_score(score: Score) -> Score:
    if isinstance(score, Undefined) or isfinite(score):
        return score
    return _not_finite("the model's answer to a perturbed image")


def _is_finite(curve: Curve) -> bool:
    return all(map(isfinite, curve.values))


def _clean_prediction(model: str, scene: Scene) -> CleanPrediction:
    probabilities = scene.clean.probabilities
    if not np.isfinite(probabilities).all():
        return CleanPrediction(model, scene.target, ())
    best = np.argsort(-probabilities, kind="stable")[:_TOP]
    top = tuple(ClassProbability(int(index), float(probabilities[index])) for index in best)
    return CleanPrediction(model, scene.target, top)


def _overlays(model: str, explained: Explained) -> Iterator[Overlay]:
    image = explained.scene.picture.draw()
    for explainer, made in explained.maps.items():
        if not isinstance(made, Undefined):
            yield Overlay(model, explainer, overlay(image, made))
