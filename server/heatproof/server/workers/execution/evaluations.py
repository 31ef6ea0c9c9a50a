"""Plans evaluations and computes their shards."""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain, islice

from heatproof.evaluators.errors import HeatproofError, told_of
from heatproof.evaluators.evaluation import engine
from heatproof.evaluators.evaluation.column_blocks import written
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.tabulation import Tabulation
from heatproof.graphs.predictor import GraphPredictor
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.environment import known_run_sizes, measured_run_sizes
from heatproof.server.workers.execution.images import image_access, lazily_read
from heatproof.server.workers.execution.known_answers import (
    ModelAnswers,
    UnaskedAnswers,
    known_answers,
)
from heatproof.server.workers.execution.progress import ProgressReporter
from heatproof.server.workers.inputs import ModelFiles, RunSize
from heatproof.server.workers.shard_results import MOST_WAYS, ShardTotals
from heatproof.server.workers.tasks import PlanEvaluation, PlannedWork, RunShard


def plan_evaluation(task: PlanEvaluation, context: TaskContext) -> PlannedWork:
    """Loads the models of a spec and counts what it computes."""
    predictors = _predictors(task.models, task.spec, context)
    facts = {name: predictor.facts for name, predictor in predictors.items()}
    planned = engine.plan(task.spec, facts, task.inventory)
    told = context.documents.serialized_model_facts(planned.class_outputs, planned.warnings)
    return PlannedWork(planned.predictions, told, planned.result_predictions)


def run_shard(task: RunShard, context: TaskContext) -> ShardTotals:
    """Evaluates the images of a shard and emits the result of each; ends with its columns.

    Raises:
        InvalidArgumentError: an image is unusable; its field counts within the data set.
        UnknownAnswerError: a model would have to be asked that is not.
    """
    before = context.model_cache.preparation_seconds
    predictors = _predictors(task.models, task.spec, context, task.run_sizes)
    reporter = ProgressReporter(task, context)
    tabulation = Tabulation(task.spec)
    images = lazily_read(task.images, image_access(context), reporter.fetch)
    known = known_answers(task, predictors, context)
    try:
        believed = _unasked(known, task)
        evaluated = engine.evaluate(task.spec, images, predictors, reporter.note, believed)
        with closing(evaluated):
            for place, result in enumerate(evaluated):
                context.emit(context.documents.image_row(result))
                tabulation.add(result)
                for answers in known.values():
                    answers.flush([place])
    except HeatproofError as error:
        raise _placed(error, task) from error
    finally:
        for answers in known.values():
            answers.flush_all()
    prepared_for = context.model_cache.preparation_seconds - before
    columns = written(tabulation.columns())
    return ShardTotals(
        predictions=reporter.predictions,
        columns=columns,
        preparation_seconds=prepared_for,
        known=reporter.known,
        ways_run=_ways_run(predictors),
        run_sizes=_measured(predictors, task, context),
    )


def _ways_run(predictors: Mapping[str, GraphPredictor]) -> tuple[str, ...]:
    """How each kind of pass of each model was run, in words."""
    ways = (f"{name}: {way}" for name, one in predictors.items() for way in one.ways_run())
    return tuple(sorted(ways))


def _measured(
    predictors: Mapping[str, GraphPredictor], task: RunShard, context: TaskContext
) -> tuple[RunSize, ...]:
    """How many batches runs take, where that is not what was known."""
    known = frozenset(task.run_sizes)
    measured = (measured_run_sizes(name, one, context) for name, one in predictors.items())
    sizes = (size for size in chain.from_iterable(measured) if size not in known)
    return tuple(islice(sizes, MOST_WAYS))


def _unasked(
    known: Mapping[str, ModelAnswers], task: RunShard
) -> Mapping[str, ModelAnswers | UnaskedAnswers]:
    """The answers of all models, of which some are not asked for more."""
    return {
        model: UnaskedAnswers(model, answers) if model in task.unasked else answers
        for model, answers in known.items()
    }


def _placed(error: HeatproofError, task: RunShard) -> HeatproofError:
    """The error with the index of its image counted within the data set."""
    found = re.match(r"images\[(\d+)\]", error.field)
    if found is None:
        return error
    field = f"images[{task.position(int(found[1]))}]{error.field[found.end() :]}"
    return type(error)(error.message, field=field, metadata=error.metadata)


def _predictors(
    models: Sequence[ModelFiles],
    spec: EvaluationSpec,
    context: TaskContext,
    run_sizes: Sequence[RunSize] = (),
) -> Mapping[str, GraphPredictor]:
    predictors, known = {}, known_run_sizes(run_sizes, context)
    for files in models:
        context.report(f"loading {files.name}")
        with told_of(files.name, among=len(models)):
            predictors[files.name] = context.model_cache.predictor(
                files, spec.preprocessing, spec.stated, context.cancellation, known
            )
    return predictors
