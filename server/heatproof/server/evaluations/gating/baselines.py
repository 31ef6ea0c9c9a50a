"""Baselines by name: set to evaluations, and read as what candidates are held against."""

import asyncio
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, NotFoundError, placed
from heatproof.evaluators.gate.policy import Policy
from heatproof.evaluators.gate.soundness import compared_results, require_sound
from heatproof.server.evaluations.gating.models import chosen_model
from heatproof.server.evaluations.gating.tabulation import Tabulation
from heatproof.server.evaluations.store.baseline_store import (
    BaselineChange,
    BaselineStore,
    StoredBaseline,
)
from heatproof.server.resource_names import BaselineName, BaselineReference, EvaluationName
from heatproof.server.workers.statistics_tasks import TabulatedEvaluation

MAX_NOTE: Final = 1000
"""Letters of a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSetting:
    """What somebody asks a baseline to be set to.

    Attributes:
        evaluation: the evaluation.
        model: the model that candidates are held against; "" if there is only one.
        note: who sets it and why.
        policy: serialised `Policy` by which the model was judged, b"" without one.
        expected: number of the newest revision, as the caller knows it; None: whatever it is.
    """

    evaluation: EvaluationName
    model: str = ""
    note: str = ""
    policy: bytes = b""
    expected: int | None = None


class Baselines:
    """Sets baselines, and reads the evaluations that they name."""

    def __init__(self, store: BaselineStore, tabulation: Tabulation) -> None:
        self.store = store
        self._tabulation = tabulation

    async def set(self, name: BaselineName, asked: BaselineSetting) -> StoredBaseline:
        """Sets a baseline.

        Raises:
            NotFoundError: there is no such evaluation.
            FailedPreconditionError: it has not succeeded.
            InvalidArgumentError: the model is none of the evaluation's, or the note or the policy
                is wrong.
            ConflictError: the newest revision is another one than expected.
        """
        _check_note(asked.note)
        if asked.expected is not None and asked.expected < 0:
            raise InvalidArgumentError(
                f"expected_revision must be at least 0, not {asked.expected}",
                field="expected_revision",
            )
        with placed("evaluation"):
            stored = await asyncio.to_thread(self._tabulation.store.get, asked.evaluation)
        stored.require_success("a baseline", field="evaluation")
        if asked.policy:
            with placed("policy"):
                require_sound(self._tabulation.documents.read_policy(asked.policy))
        change = BaselineChange(
            number=stored.number,
            evaluation=stored.name,
            model=chosen_model(asked.model, self._tabulation.spec(stored).models),
            note=asked.note,
            policy=asked.policy,
        )
        return await asyncio.to_thread(self.store.set, name, change, expected=asked.expected)

    async def tabulated(
        self, reference: BaselineReference, policy: Policy | None = None
    ) -> TabulatedEvaluation:
        """The evaluation that a revision of a baseline names.

        Args:
            reference: the revision.
            policy: the rules whose checks compare scores; None: no scores are read.

        Raises:
            NotFoundError: there is no such revision, or its evaluation has been deleted.
        """
        found = await asyncio.to_thread(self.store.revision, reference)
        try:
            name = EvaluationName.parse(found.evaluation)
            stored = await asyncio.to_thread(self._tabulation.store.get, name)
        except NotFoundError as error:
            raise NotFoundError(
                f"{found.evaluation}, which {found.name} names, has been deleted: only the newest "
                "revision of a baseline keeps its evaluation; name that one, or none"
            ) from error
        compared: frozenset[int] = frozenset()
        if policy is not None:
            spec = self._tabulation.spec(stored)
            compared = compared_results(policy, spec, {found.model}, has_baseline=True)
        held = await self._tabulation.tabulated(stored, found.model, compared, found.name)
        return replace(held, policy=found.policy)


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE or any(unicodedata.category(one) == "Cc" for one in note):
        raise InvalidArgumentError(
            f"note {note[:60]!r} must have at most {MAX_NOTE} letters, none of them a control "
            f"character; it has {len(note)}",
            field="note",
        )
