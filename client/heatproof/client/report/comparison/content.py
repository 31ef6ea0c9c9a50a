"""What every rendering of a comparison shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from heatproof.client.documents.results import Report
from heatproof.client.report.comparison.matrices import Matrix, matrix
from heatproof.client.report.comparison.quantities import Quantity, quantities
from heatproof.client.report.content import Content
from heatproof.client.report.rows import ClassNames
from heatproof.v1.comparison_pb2 import ModelComparison


@dataclass(frozen=True, slots=True)
class ComparisonContent:
    """A comparison as text: made once of the messages, then only rendered.

    Attributes:
        content: the evaluation that it rests on.
        comparisons: the messages.
        reference: the model that the others are held against, `models/...`; empty: all pairs.
        names: the models, in the order of the spec.
        pairs: which models are held against each other.
        correction: over how many tests p-values are corrected.
        controls: captions of explainers whose maps know nothing of the model.
        quantities: what the models are compared by.
        matrices: what each model's maps are worth to each model.
    """

    content: Content
    comparisons: tuple[ModelComparison, ...]
    reference: str
    names: tuple[str, ...]
    pairs: str
    correction: str
    controls: frozenset[str]
    quantities: tuple[Quantity, ...]
    matrices: tuple[Matrix, ...]

    @classmethod
    def of(
        cls,
        report: Report,
        comparisons: Sequence[ModelComparison],
        classes: ClassNames,
        *,
        reference: str = "",
    ) -> Self:
        """Puts a comparison into words.

        Args:
            report: the evaluation.
            comparisons: of its models, in the order of the server.
            classes: names of the classes.
            reference: the model that the others are held against, `models/...`; empty: all pairs.
        """
        content = Content.of(report, classes)
        captions = content.captions
        controls = frozenset(captions.short(one.explainer) for one in comparisons if one.control)
        tests = max((one.tests for one in comparisons), default=0)
        return cls(
            content=content,
            comparisons=tuple(comparisons),
            reference=reference,
            names=tuple(captions.model(model.name) for model in report.models),
            pairs=f"each model against {captions.model(reference)}" if reference else "all pairs",
            correction=(
                f"p-values are corrected over {tests} tests (Holm)"
                if tests
                else "nothing is tested"
            ),
            controls=controls,
            quantities=quantities(report, comparisons, captions),
            matrices=_matrices(content, controls),
        )


def _matrices(content: Content, controls: frozenset[str]) -> tuple[Matrix, ...]:
    own = [row.explainer not in controls for row in content.results]
    found = (
        matrix(row.subject, result, content.captions)
        for row, result, is_own in zip(content.results, content.report.results, own, strict=True)
        # Where nothing but controls was asked for, they are what is shown.
        if is_own or not any(own)
    )
    return tuple(one for one in found if one is not None)
