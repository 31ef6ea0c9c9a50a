"""Puts metrics to the test, away from the event loop of the server."""

from heatproof.evaluators.evaluation.column_blocks import read_images
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.reliability.assessing import assessed
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.statistics import read_scores
from heatproof.server.workers.statistics_tasks import AssessedMetrics, AssessMetrics


def assess_metrics(task: AssessMetrics, context: TaskContext) -> AssessedMetrics:
    """Says which metrics of an evaluation deserve trust on one of its models."""
    spec, images = context.documents.read_spec(task.spec), read_images(task.images)
    context.report(f"testing {len(spec.metrics)} metrics on {len(images)} images")
    columns = Columns(images, read_scores(task.scores, spec))
    found = assessed(spec, task.model, columns)
    return AssessedMetrics(tuple(context.documents.serialized_reliability(one) for one in found))
