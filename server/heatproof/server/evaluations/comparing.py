"""Compares the models of ended evaluations."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from heatproof.evaluators.comparison.comparing import ComparisonRules
from heatproof.evaluators.comparison.quantities import (
    ComparedQuantity,
    compared_quantities,
    pairs_of,
    reading_cautions,
    require_comparable_models,
)
from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.column_blocks import RESULTS, blocks_of
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.statistics.permutation import holm
from heatproof.server.evaluations.columns import IMAGES, EvaluationColumns, StoredShards
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.statistics_tasks import CompareScores


@dataclass(frozen=True, slots=True)
class CorrectedComparison:
    """One quantity with its corrected p-values.

    Attributes:
        comparison: serialised `ModelComparison` without these.
        adjusted: the corrected p-values, in the order of those that it has.
        tests: p-values of the whole comparison.
        cautions: what must be known of the models to read any quantity.
    """

    comparison: bytes
    adjusted: tuple[float, ...]
    tests: int
    cautions: tuple[str, ...]


class Comparisons:
    """Compares the models of ended evaluations; stores nothing."""

    def __init__(
        self, store: EvaluationStore, workers: Workers, documents: EvaluationDocuments
    ) -> None:
        self._documents = documents
        self._store = store
        self._workers = workers

    async def compare(
        self, name: EvaluationName, rules: ComparisonRules
    ) -> AsyncIterator[CorrectedComparison]:
        """Compares the models of an evaluation by every quantity that they have.

        Holm's correction needs all p-values, so nothing is yielded before all are made.

        Raises:
            NotFoundError: there is no evaluation of this name.
            FailedPreconditionError: it has not succeeded.
            InvalidArgumentError: its models cannot be compared, or the reference is none of them.
        """
        stored = await asyncio.to_thread(self._store.get, name)
        stored.require_success("compared")
        spec = self._documents.read_spec(stored.spec)
        _require_comparable(stored.name, spec)
        pairs_of(spec.models, rules.reference)
        comparisons: list[bytes] = []
        p_values: list[tuple[float, ...]] = []
        async for task in self._tasks(stored, spec, rules):
            found = await self._workers.call(task)
            comparisons += found.comparisons
            p_values += found.p_values
        flat = [value for group in p_values for value in group]
        adjusted = iter(holm(flat))
        cautions = reading_cautions(self._documents.read_class_outputs(stored.environment))
        for data, group in zip(comparisons, p_values, strict=True):
            corrected = tuple(islice(adjusted, len(group)))
            yield CorrectedComparison(data, corrected, len(flat), cautions)

    async def _tasks(
        self, stored: StoredEvaluation, spec: EvaluationSpec, rules: ComparisonRules
    ) -> AsyncIterator[CompareScores]:
        """Some quantities at a time, with the blocks of scores that these are of."""
        shards = (StoredShards(self._store, stored.number, asyncio.to_thread),)
        columns = EvaluationColumns(self._workers, stored.spec, shards, lane=Lane.INTERACTIVE)
        images = await columns.block(IMAGES)
        blocks = list(enumerate(blocks_of(len(result_keys(spec))), IMAGES + 1))
        quantities = compared_quantities(spec)
        for group in _groups(quantities):
            wanted = {place for one in quantities[slice(*group)] for place in one.results}
            scores = {
                span.start: await columns.block(block)
                for block, span in blocks
                if not wanted.isdisjoint(span)
            }
            yield CompareScores(stored.spec, images, scores, group, rules)


def _groups(quantities: Sequence[ComparedQuantity]) -> Iterator[tuple[int, int]]:
    """Spans of as many quantities as a block of scores has results."""
    for start in range(0, len(quantities), RESULTS):
        yield start, min(start + RESULTS, len(quantities))


def _require_comparable(name: str, spec: EvaluationSpec) -> None:
    try:
        require_comparable_models(spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"the models of {name} cannot be compared: {error.field}: {error.message}", field="name"
        ) from error
