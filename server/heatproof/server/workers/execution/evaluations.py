"""Plans evaluations and computes their shards."""

from collections.abc import Mapping, Sequence

from heatproof.evaluators import evaluation
from heatproof.evaluators.predictor import Predictor
from heatproof.evaluators.preprocessing import Preprocessing
from heatproof.server.workers.bench import Bench
from heatproof.server.workers.execution.images import lazily_read
from heatproof.server.workers.inputs import ModelFiles
from heatproof.server.workers.tasks import PlanEvaluation, RunShard


def plan_evaluation(task: PlanEvaluation, bench: Bench) -> evaluation.Plan:
    """Loads the models of a spec and counts what it computes."""
    predictors = _predictors(task.models, task.spec.preprocessing, bench)
    facts = {name: predictor.facts for name, predictor in predictors.items()}
    return evaluation.plan(task.spec, facts, task.images)


def run_shard(task: RunShard, bench: Bench) -> int:
    """Evaluates the images of a shard and emits the result of each."""
    predictors = _predictors(task.models, task.spec.preprocessing, bench)
    images = lazily_read(task.images, bench.shelf.image_limits)
    predictions = 0

    def report(progress: evaluation.Progress) -> None:
        nonlocal predictions
        predictions = progress.predictions_done
        images_done = progress.images_done
        bench.report(_step(task, images_done), predictions=predictions, images=images_done)

    bench.report(_step(task, 0))
    for result in evaluation.evaluate(task.spec, images, predictors, report):
        bench.emit(result)
    return predictions


def _step(task: RunShard, images_done: int) -> str:
    """Names the images that may be in work: those of a batch are evaluated side by side."""
    image = task.images[min(images_done, len(task.images) - 1)]
    return f"image {image.display_name!r} ({image.digest[:12]})"


def _predictors(
    models: Sequence[ModelFiles], preprocessing: Preprocessing, bench: Bench
) -> Mapping[str, Predictor]:
    predictors = {}
    for files in models:
        bench.report(f"loading {files.name}")
        predictors[files.name] = bench.shelf.predictor(files, preprocessing, bench.cancellation)
    return predictors
