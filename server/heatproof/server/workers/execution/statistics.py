"""Summarises and judges evaluations, away from the event loop of the server."""

from heatproof.evaluators.errors import placed
from heatproof.evaluators.evaluation.doubts import doubts
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.summaries import clean_accuracy, sampling
from heatproof.evaluators.evaluation.summaries import summarise as summarise_images
from heatproof.evaluators.gate import judge as judge_evaluation
from heatproof.evaluators.gate.pairing import require_comparable
from heatproof.evaluators.gate.policy import Evaluated
from heatproof.evaluators.gate.soundness import (
    require_answerable,
    require_labels,
    require_sound,
)
from heatproof.server.workers.execution.context import Bench
from heatproof.server.workers.execution.images import mask_digest
from heatproof.server.workers.tasks import CheckPolicy, Judge, RecordedEvaluation, Summarise


def summarise(task: Summarise, bench: Bench) -> bytes:
    """Summarises the results of images."""
    bench.report(f"summarising {len(task.images)} images")
    spec, images = bench.documents.read_spec(task.spec), bench.documents.read_images(task.images)
    results, accuracy = summarise_images(spec, images), clean_accuracy(spec, images)
    warnings = doubts(images, bench.documents.read_class_outputs(task.environment), accuracy)
    return bench.documents.serialized_results(results, accuracy, sampling(spec, images), warnings)


def check_policy(task: CheckPolicy, bench: Bench) -> None:
    """Checks a policy, and its baseline, before the evaluation runs."""
    bench.report("checking the policy")
    spec = bench.documents.read_spec(task.spec)
    policy = bench.documents.read_policy(task.policy)
    with placed("policy"):
        require_sound(policy)
        require_answerable(policy, spec)
        require_labels(policy, [label for _, label, _ in task.images])
    if task.baseline is not None:
        images = tuple(
            ImageResult(digest, "", label, (), (), object_mask=mask_digest(mask) if mask else "")
            for digest, label, mask in task.images
        )
        candidate = Evaluated(spec.models[0], spec, (), images)
        require_comparable(candidate, _evaluated(task.baseline, bench))


def judge(task: Judge, bench: Bench) -> bytes:
    """Judges a candidate by a policy."""
    bench.report("judging")
    policy = bench.documents.read_policy(task.policy)
    candidate = _evaluated(task.candidate, bench)
    baseline = None if task.baseline is None else _evaluated(task.baseline, bench)
    return bench.documents.serialized_verdict(judge_evaluation(policy, candidate, baseline))


def _evaluated(recorded: RecordedEvaluation, bench: Bench) -> Evaluated:
    return bench.documents.read_evaluated(recorded.model, recorded.evaluation, recorded.images)
