"""Values and differences of models as rows of text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results import Report
from heatproof.client.report.facts import image_count
from heatproof.client.report.numbers import (
    ABSENT,
    ARROWS,
    SIGNIFICANCE,
    Estimate,
    ends,
    probability,
    signed,
)
from heatproof.v1.comparison_pb2 import ComparedModel, ModelComparison, ModelDifference
from heatproof.v1.results_pb2 import Direction, MetricResult, Summary

MARK: Final = "●"
"""Stands where two models are told apart."""

LEGEND: Final = (
    f"{MARK} the interval excludes 0 and the corrected p is below {SIGNIFICANCE}; nothing else "
    "tells models apart. ↑ higher is better, ↓ lower is better, →0 closer to zero is better."
)

_Key: TypeAlias = tuple[bytes, bytes, str]


@dataclass(frozen=True, slots=True)
class ValueRow:
    """What a model comes to, or a control map in the place of a model's.

    Attributes:
        name: the model, or the control map.
        is_control: whether it is a control map.
        estimate: its value over the shared images.
        controls: what the model comes to with each control explainer of `Quantity.controls`.
        scored: images that it has a value of, of all.
        undefined: reasons of the others, with their counts.
    """

    name: str
    is_control: bool
    estimate: Estimate
    controls: tuple[Estimate, ...]
    scored: str
    undefined: str


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One model's value less another's.

    Attributes:
        first: the model whose value counts positive.
        second: the model whose value is taken off.
        difference: the difference, or a dash.
        interval: its interval, or a dash.
        p_value: of `there is no difference`, or a dash.
        adjusted: the same, corrected over all tests.
        told: which model is better, or higher where that is no merit; empty where the data do not
            tell.
        missing: why something is missing; empty if nothing is.
        message: the numbers.
    """

    first: str
    second: str
    difference: str
    interval: str
    p_value: str
    adjusted: str
    told: str
    missing: str
    message: ModelDifference

    @property
    def pair(self) -> str:
        """Which difference it is."""
        return f"{self.first} less {self.second}"

    @property
    def reading(self) -> str:
        """What the row tells, in words."""
        return f"{MARK} {self.told}" if self.told else self.missing


@dataclass(frozen=True, slots=True)
class Quantity:
    """What models are compared by.

    Attributes:
        metric: the metric, with the part of it that is compared.
        explainer: the explainer; empty if there is none.
        removal: the removal operator; empty if there is none.
        arrow: what a good value is.
        shared: how many images have it of all models, of how many.
        controls: control explainers, the extra columns.
        values: the models, then the control maps that stand in the place of a model's.
        differences: pairs of models.
        cautions: what must be known to read the differences.
    """

    metric: str
    explainer: str
    removal: str
    arrow: str
    shared: str
    controls: tuple[str, ...]
    values: tuple[ValueRow, ...]
    differences: tuple[DifferenceRow, ...]
    cautions: tuple[str, ...]

    @property
    def title(self) -> str:
        """Metric, explainer and removal operator in one line."""
        parts = (f"{self.metric} {self.arrow}".strip(), self.explainer, self.removal)
        return " · ".join(part for part in parts if part)


def quantities(
    report: Report, comparisons: Sequence[ModelComparison], captions: Captions
) -> tuple[Quantity, ...]:
    """One for each comparison, those of control explainers as columns of the others.

    Args:
        report: the evaluation.
        comparisons: of its models, in the order of the server.
        captions: names of models and choices.
    """
    columns: dict[_Key, list[ModelComparison]] = {}
    for one in comparisons:
        if one.control:
            columns.setdefault(_key(one), []).append(one)
    own = [one for one in comparisons if not one.control]
    words = _Words(captions, report.results, image_count(report))
    # Where nothing but controls was asked for, they are what is shown.
    return tuple(
        words.quantity(one, columns.get(_key(one), []) if own else []) for one in own or comparisons
    )


def _key(one: ModelComparison) -> _Key:
    """What a comparison and those of its control explainers have in common."""
    return one.metric.SerializeToString(), one.removal.SerializeToString(), one.part


@dataclass(frozen=True, slots=True)
class _Words:
    """What puts messages into words.

    Attributes:
        captions: names of models and choices.
        results: what `ComparedModel.result` names.
        images: images in all, equal ones counted once.
    """

    captions: Captions
    results: Sequence[MetricResult]
    images: int

    def quantity(self, one: ModelComparison, controls: Sequence[ModelComparison]) -> Quantity:
        """A comparison with those of its control explainers."""
        captions = self.captions
        metric = captions.short(one.metric)
        columns = {captions.short(control.explainer): _summaries(control) for control in controls}
        return Quantity(
            metric=f"{metric}: {one.part}" if one.part else metric,
            explainer=captions.short(one.explainer),
            removal=captions.short(one.removal),
            arrow=ARROWS.get(one.direction, ""),
            shared=f"{one.images} of {self.images}",
            controls=tuple(columns),
            values=(
                *(self._model_row(model, columns.values()) for model in one.models),
                *(_control_row(name, held) for name, held in sorted(one.controls.items())),
            ),
            differences=tuple(self._difference_row(held, one) for held in one.differences),
            cautions=tuple(captions.spoken(text) for text in one.cautions),
        )

    def _model_row(
        self, held: ComparedModel, controls: Iterable[Mapping[str, Summary]]
    ) -> ValueRow:
        # Of a metric over several models, the reasons are those of its one result.
        undefined = held.summary.undefined or self.results[held.result].summary.undefined
        return ValueRow(
            name=self.captions.model(held.model),
            is_control=False,
            estimate=Estimate.of(held.summary),
            controls=tuple(Estimate.of(column.get(held.model, Summary())) for column in controls),
            scored=f"{held.scored}/{self.images}",
            undefined=", ".join(f"{reason} {count}" for reason, count in sorted(undefined.items())),
        )

    def _difference_row(self, held: ModelDifference, one: ModelComparison) -> DifferenceRow:
        captions = self.captions
        adjusted = held.adjusted_p_value if held.HasField("adjusted_p_value") else None
        return DifferenceRow(
            first=captions.model(held.first),
            second=captions.model(held.second),
            difference=signed(held.difference) if held.HasField("difference") else ABSENT,
            interval=ends(held.interval) if held.HasField("interval") else ABSENT,
            p_value=probability(held.p_value if held.HasField("p_value") else None),
            adjusted=probability(adjusted),
            told=_told(held, one, captions),
            missing=captions.spoken(held.undefined.detail or held.undefined.reason),
            message=held,
        )


def _summaries(one: ModelComparison) -> dict[str, Summary]:
    return {held.model: held.summary for held in one.models}


def _control_row(name: str, held: Summary) -> ValueRow:
    return ValueRow(
        name=f"{name} map",
        is_control=True,
        estimate=Estimate.of(held),
        controls=(),
        scored="",
        undefined="",
    )


def _told(held: ModelDifference, one: ModelComparison, captions: Captions) -> str:
    """What a difference tells; empty where interval and corrected p do not both tell."""
    is_tested = held.HasField("interval") and held.HasField("adjusted_p_value")
    if not is_tested or held.adjusted_p_value >= SIGNIFICANCE:
        return ""
    if held.interval.lower <= 0 <= held.interval.upper:
        return ""
    is_above = held.interval.lower > 0
    above, below = (held.first, held.second) if is_above else (held.second, held.first)
    # A property of the model, or a value with a caveat, makes no model's maps better.
    if one.cautions or not one.HasField("explainer"):
        return f"{captions.model(above)} is higher"
    values = _summaries(one)
    better = {
        Direction.DIRECTION_HIGHER_IS_BETTER: above,
        Direction.DIRECTION_LOWER_IS_BETTER: below,
    }.get(one.direction, min((above, below), key=lambda model: abs(values[model].value)))
    return f"{captions.model(better)} is better"
