"""Compares the models of evaluations, away from the event loop of the server."""

from heatproof.evaluators.comparison.comparing import compared
from heatproof.evaluators.comparison.quantities import compared_quantities
from heatproof.evaluators.evaluation.column_blocks import read_images
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.statistics import read_scores
from heatproof.server.workers.statistics_tasks import ComparedModels, CompareScores


def compare_scores(task: CompareScores, context: TaskContext) -> ComparedModels:
    """Compares the models of an evaluation by some quantities."""
    spec, images = context.documents.read_spec(task.spec), read_images(task.images)
    context.report(f"comparing {len(spec.models)} models on {len(images)} images")
    quantities = compared_quantities(spec)[slice(*task.quantities)]
    columns = Columns(images, read_scores(task.scores, spec))
    found = compared(spec, quantities, columns, task.rules)
    return ComparedModels(
        tuple(context.documents.serialized_comparison(one) for one in found),
        tuple(
            tuple(each.p_value for each in one.differences if each.p_value is not None)
            for one in found
        ),
    )
