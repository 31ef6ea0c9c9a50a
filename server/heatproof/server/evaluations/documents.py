"""The seam between evaluations and the contract, whose messages they store as bytes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from heatproof.evaluators.errors import HeatproofError
from heatproof.evaluators.evaluation.results import SequentialUnits
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.policy import Policy
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.store.rules import Rules


class EvaluationDocuments(Protocol):
    """Reads and writes what is stored of evaluations, as messages of the contract."""

    def serialized_spec(self, spec: EvaluationSpec) -> bytes:
        """Writes an `EvaluationSpec`; equal specs give equal bytes."""
        ...

    def read_spec(self, data: bytes) -> EvaluationSpec:
        """Reads an `EvaluationSpec`."""
        ...

    def read_policy(self, data: bytes) -> Policy:
        """Reads a `Policy`.

        Raises:
            InvalidArgumentError: names the field below `policy`.
        """
        ...

    def read_rules(self, data: bytes) -> Rules:
        """Reads by what an evaluation is judged."""
        ...

    def serialized_taken(self, taken: SequentialUnits) -> bytes:
        """Writes how far a sequential evaluation went, a part of an `Evaluation`."""
        ...

    def serialized_environment(self, environment: Mapping[str, str]) -> bytes:
        """Writes what computes an evaluation, a part of an `Evaluation`."""
        ...

    def serialized_units_left_out(self, units: int) -> bytes:
        """Writes how many units are not to be evaluated, a part of an `Evaluation`."""
        ...

    def with_ways_run(self, environment: bytes, ways: Sequence[str]) -> bytes:
        """The environment of an evaluation with how passes were run, each way told once."""
        ...

    def read_class_outputs(self, environment: bytes) -> tuple[ClassOutput, ...]:
        """Reads how class scores are read off the part of an `Evaluation` that says it."""
        ...

    def serialized_evaluation(self, stored: StoredEvaluation) -> bytes:
        """Writes an `Evaluation`."""
        ...

    def serialized_error(self, error: HeatproofError) -> bytes:
        """Writes why an evaluation has failed, a `google.rpc.Status`."""
        ...
