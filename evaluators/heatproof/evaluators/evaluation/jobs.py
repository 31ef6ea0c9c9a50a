"""What is done with one image: predicted, explained, scored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from heatproof.evaluators.evaluation.donors import labelled_donors_read
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.preparation.prepared import PreparedImage
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
    InputPicture,
    Overlay,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.labels import Label, LabelSet, classes_of, several, single
from heatproof.evaluators.images.overlay import overlay, photograph
from heatproof.evaluators.metrics import Case, Given, Metric
from heatproof.evaluators.metrics.robustness.attacks.counterparts import attacks_in, counterpart
from heatproof.evaluators.outcomes import Curve, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.first_answers import FirstAnswers
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, predict
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.scheduler import Job
from heatproof.evaluators.registry.registry import (
    LabelledDonors,
    Reads,
    Registered,
    reads_deeply,
)

_TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One image with its maps, as one model sees it.

    Attributes:
        sample: the image.
        prediction: the model's answer to it.
        maps: a map for each explainer, or why there is none.
        objects: where the object is, in the model's input frame; None if that did not come.
        label: the true class, or all that it shows; None if that did not come.
        judged: the image as the evaluator sees it; the sample itself without one.
    """

    sample: Sample
    prediction: CleanPrediction
    maps: Mapping[Explainer, Map | Undefined]
    objects: Mask | None
    label: Label | None
    judged: Sample

    def seen_by(self, metric: Metric) -> Sample:
        """The image as the model sees it that a metric asks."""
        return self.judged if metric.takes_evaluator else self.sample


def evaluation_job(
    spec: EvaluationSpec,
    facts: Mapping[str, PredictorFacts],
    image: PreparedImage,
    watches: Mapping[str, FirstAnswers],
) -> Job[ImageResult]:
    """Evaluates one image with all models of a spec; `watches` see the answers to it.

    All models explain it before any score is made, for a score may compare them.
    """
    explained: dict[str, Explained] = {}
    for model in spec.models:
        made = yield from explanation_job(spec, facts[model], image, watches[model])
        judged = yield from _judged(spec, facts, made.sample, watches)
        explained[model] = replace(made, judged=judged)
    scores = yield from _scores(explained, result_keys(spec))
    return ImageResult(
        image=image.digest,
        display_name=image.display_name,
        label=single(image.label),
        predictions=tuple(found.prediction for found in explained.values()),
        scores=tuple(scores),
        overlays=tuple(_overlays(explained)) if spec.keep_overlays else (),
        input_pictures=tuple(_input_pictures(explained)) if spec.keep_overlays else (),
        group=image.group,
        object_mask=image.objects_digest,
        labels=several(image.label),
    )


def explanation_job(
    spec: EvaluationSpec, facts: PredictorFacts, image: PreparedImage, watch: FirstAnswers
) -> Job[Explained]:
    """Predicts and explains one image with one model; `watch` sees the answer to it."""
    read = image.inputs[facts.model]
    (clean,) = yield [predict(MaskedView(read.pixels, ModelPass(facts.model)))]
    watch.see(clean.logits)
    sample = Sample(
        facts=facts,
        image=read.pixels,
        digest=image.digest,
        seed=spec.seed,
        target=spec.target.head(image.label, clean),
        answer=clean,
        maps=read.maps,
        donors=read.donors,
        partner=read.partner,
        same_label_donors=read.same_label_donors,
        other_label_donors=read.other_label_donors,
        leads_pair=image.leads_pair,
        replacement=read.replacement,
        place=image.index,
        boxes=read.boxes,
        label=image.label,
    )
    sample = yield from _attacked(spec, sample)
    maps = yield from _maps(spec, sample)
    prediction = _clean_prediction(sample)
    return Explained(sample, prediction, maps, read.objects, image.label, judged=sample)


def _judged(
    spec: EvaluationSpec,
    facts: Mapping[str, PredictorFacts],
    sample: Sample,
    watches: Mapping[str, FirstAnswers],
) -> Job[Sample]:
    """The image as the evaluator sees it, asked about what of the model's answers is explained."""
    if spec.evaluator_model in {"", sample.facts.model}:
        return sample
    evaluator = facts[spec.evaluator_model]
    (clean,) = yield [predict(MaskedView(sample.image, ModelPass(evaluator.model)))]
    watches[evaluator.model].see(clean.logits)
    return replace(sample, facts=evaluator, answer=clean)


def _attacked(spec: EvaluationSpec, sample: Sample) -> Job[Sample]:
    """The sample with the attacked images that removal operators of a spec show."""
    operators = attacks_in((*spec.metrics, *spec.explainers, *spec.removals))
    if not operators or not np.isfinite(sample.clean.logits).all():
        return sample
    made = yield [counterpart(sample, operator) for operator in operators]
    return replace(sample, counterparts=dict(zip(operators, made, strict=True)))


def _maps(spec: EvaluationSpec, sample: Sample) -> Job[dict[Explainer, Map | Undefined]]:
    """Makes each map once, however many metrics read it."""
    explainers = tuple(dict.fromkeys(spec.explainers))
    if not np.isfinite(sample.clean.logits).all():
        return dict.fromkeys(explainers, _not_finite("the model's answer to the clean image"))
    lacking = {made: reason for made in explainers if (reason := _lacking(sample, made))}
    making = [explainer for explainer in explainers if explainer not in lacking]
    found = yield [explainer.explain(sample) for explainer in making]
    sound = {explainer: _sound_map(made) for explainer, made in zip(making, found, strict=True)}
    made = {**lacking, **sound}
    return {explainer: made[explainer] for explainer in explainers}


def _lacking(sample: Sample, reader: Registered) -> Undefined | None:
    """Why a thing cannot read what it, or one that its parameters hold, wants of an image."""
    if not sample.donors and reads_deeply(reader, Reads.DONORS):
        return Undefined(
            Reason.NO_DONOR,
            f"{reader.name} reads another image of the data set, and there is one image alone: "
            "send at least two that differ",
        )
    if reason := _lacking_labelled(sample, labelled_donors_read([reader])):
        return reason
    for operator in attacks_in([reader]):
        made = sample.counterparts.get(operator)
        if isinstance(made, Undefined):
            return made
    if sample.replacement is None and reads_deeply(reader, Reads.REPLACEMENT):
        return Undefined(Reason.NO_REPLACEMENT, "the image came without one to show in its place")
    if not sample.boxes and reads_deeply(reader, Reads.BOXES):
        return Undefined(Reason.NO_OBJECT, "no box of the image lies in the model's input")
    return None


def _lacking_labelled(sample: Sample, wanted: LabelledDonors) -> Undefined | None:
    """Why other images of some labels cannot be read."""
    if not wanted:
        return None
    classes = classes_of(sample.label)
    if len(classes) != 1:
        held = "no label" if not classes else "several classes and no one label"
        detail = f"the image has {held}, by which its other images are chosen"
        return Undefined(Reason.NO_LABEL, detail)
    if len(sample.same_label_donors) < wanted.same:
        detail = f"the data set holds no {wanted.same} other images of the label {classes[0]}"
        return Undefined(Reason.NO_DONOR, detail)
    if len(sample.other_label_donors) < wanted.other:
        detail = f"the data set holds no {wanted.other} images of labels other than {classes[0]}"
        return Undefined(Reason.NO_DONOR, detail)
    return None


def _sound_map(made: Map | Undefined) -> Map | Undefined:
    if isinstance(made, Undefined) or np.isfinite(made).all():
        return made
    return _not_finite("the map")


def _not_finite(what: str) -> Undefined:
    return Undefined(Reason.NOT_FINITE, f"{what} holds NaN or infinity")


def _scores(explained: Mapping[str, Explained], keys: Sequence[ResultKey]) -> Job[list[ImageScore]]:
    """Scores an image by every result that can be scored; the others get their reason."""
    outcomes: dict[int, Outcome] = {}
    scored: list[int] = []
    for place, key in enumerate(keys):
        reason = _missing(explained, key)
        if reason is None:
            scored.append(place)
        else:
            outcomes[place] = Outcome(reason)
    found = yield [keys[place].metric.score(_case(explained, keys[place])) for place in scored]
    outcomes |= {place: _sound(made) for place, made in zip(scored, found, strict=True)}
    return [
        ImageScore(place, outcomes[place].score, outcomes[place].parts, outcomes[place].curves)
        for place in range(len(keys))
    ]


def _missing(explained: Mapping[str, Explained], key: ResultKey) -> Undefined | None:
    """Why an image has no score; what compares a panel needs a map of every model."""
    for model in _mapped(explained, key):
        found = explained[model]
        seen = (found.sample, found.seen_by(key.metric))
        if not all(np.isfinite(sample.clean.logits).all() for sample in seen):
            return _not_finite("the model's answer to the clean image")
        for reader in (key.metric, key.removal):
            if reader is not None and (reason := _lacking(found.sample, reader)) is not None:
                return reason
        made = None if key.explainer is None else found.maps[key.explainer]
        if isinstance(made, Undefined):
            return made
    return None


def _mapped(explained: Mapping[str, Explained], key: ResultKey) -> Sequence[str]:
    """The models whose maps a score reads."""
    return tuple(explained) if Reads.PANEL_MAPS in key.metric.reads else key.models


def _case(explained: Mapping[str, Explained], key: ResultKey) -> Case:
    own = explained[key.models[0]]
    mapped = _mapped(explained, key)
    maps = {model: _made(explained[model], key.explainer) for model in mapped}
    given = Given(
        removal=key.removal,
        explainer=key.explainer,
        sample=own.seen_by(key.metric),
        map=maps[key.models[0]],
        objects=own.objects,
        label=own.label,
        models=key.models,
        panel={model: explained[model].sample for model in key.models},
        panel_maps={model: made for model, made in maps.items() if made is not None},
        panel_targets={model: explained[model].sample.target for model in mapped},
    )
    return Case(key.metric.reads, own.seen_by(key.metric).facts, given)


def _made(explained: Explained, explainer: Explainer | None) -> Map | None:
    made = None if explainer is None else explained.maps[explainer]
    return None if isinstance(made, Undefined) else made


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


def _clean_prediction(sample: Sample) -> CleanPrediction:
    model, probabilities = sample.facts.model, sample.clean.probabilities
    if not np.isfinite(probabilities).all():
        return CleanPrediction(model, sample.target.class_index, ())
    best = np.argsort(-probabilities, kind="stable")[:_TOP]
    top = tuple(ClassProbability(int(index), float(probabilities[index])) for index in best)
    is_ranked = isinstance(sample.label, LabelSet)
    logits = tuple(sample.clean.logits.tolist()) if is_ranked else ()
    return CleanPrediction(model, sample.target.class_index, top, logits)


def _overlays(explained: Mapping[str, Explained]) -> Iterator[Overlay]:
    for model, found in explained.items():
        image = found.sample.image.draw()
        for explainer, made in found.maps.items():
            if not isinstance(made, Undefined):
                drawn = overlay(image, made)
                yield Overlay(model, explainer, drawn.png, drawn.lowest, drawn.highest)


def _input_pictures(explained: Mapping[str, Explained]) -> Iterator[InputPicture]:
    for model, found in explained.items():
        yield InputPicture(model, photograph(found.sample.image.draw()))
