"""How long an evaluation will take, by what earlier ones have taken."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.server.evaluations.store.records import Experience


def expected_seconds(
    spec: EvaluationSpec,
    images: int,
    predictions: int,
    experiences: Sequence[Experience],
    read_spec: Callable[[bytes], EvaluationSpec],
) -> float | None:
    """Time of one worker; None without experience.

    Evaluations that asked the same of other images tell it by their images. Else those that asked
    anything of the models tell it by their predictions, whose number is a bound from above.

    Args:
        spec: what is asked.
        images: how many images.
        predictions: bound of the predictions in all.
        experiences: what earlier evaluations of the same models have cost.
        read_spec: reads the specs of these.
    """
    asked = _work(spec)
    alike = [one for one in experiences if _work(read_spec(one.spec)) == asked]
    held = alike or experiences
    done = sum(one.images if alike else one.predictions for one in held)
    seconds = sum(one.seconds for one in held)
    if not done or not seconds:
        return None
    return seconds / done * (images if alike else predictions)


def _work(spec: EvaluationSpec) -> EvaluationSpec:
    """What is asked of an image; pictures of maps cost nearly nothing."""
    return replace(spec, dataset="", units=0, seed=0, keep_overlays=False, no_cache=False)
