"""From the columns of an evaluation to the comparison of its models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from heatproof.evaluators.comparison.differences import Duel, ModelValue, differences_of
from heatproof.evaluators.comparison.quantities import (
    ComparedQuantity,
    compared_quantities,
    pairs_of,
    tests_of,
)
from heatproof.evaluators.comparison.values import (
    ComparedModel,
    Lack,
    Missing,
    ModelComparison,
    ModelDifference,
)
from heatproof.evaluators.evaluation.columns import Columns, Quantity
from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import quantity_of, summaries_of, units_of
from heatproof.evaluators.statistics.arms import Rows
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Measured
from heatproof.evaluators.statistics.permutation import (
    SIGNIFICANCE,
    smallest_two_sided_p_value,
)

MAX_UNSHARED: Final = 0.05
"""A larger share of the images that only some models have a value of is told."""


@dataclass(frozen=True, slots=True)
class ComparisonRules:
    """How models are compared.

    Attributes:
        reference: the model that each other one is held against; "" for all pairs.
        tolerance: units that differ by no more count as equal in tests.
    """

    reference: str
    tolerance: float


def compared(
    spec: EvaluationSpec,
    quantities: Sequence[ComparedQuantity],
    columns: Columns,
    rules: ComparisonRules,
) -> tuple[ModelComparison, ...]:
    """Compares the models of a spec by some quantities; p-values are not yet corrected.

    Args:
        spec: what was evaluated.
        quantities: some of `compared_quantities`.
        columns: all images, and the results that these quantities are of.
        rules: how to compare.

    Raises:
        InvalidArgumentError: the reference is none of the models.
    """
    units = units_of(columns.images, seed=spec.seed)
    pairs = pairs_of(spec.models, rules.reference)
    tests = tests_of(compared_quantities(spec), len(pairs))
    held = [_Held.of(quantity, columns, units) for quantity in quantities]
    summaries = iter(
        summaries_of([one for each in held for one in each.all_quantities()], units, seed=spec.seed)
    )
    tables = [
        _Table.of(each, units, [next(summaries) for _ in each.all_quantities()]) for each in held
    ]
    duels = [table.duels(pairs) for table in tables]
    found = iter(
        differences_of(
            [duel for group in duels for duel in group],
            tolerance=rules.tolerance,
            tests=tests,
            seed=spec.seed,
        )
    )
    return tuple(
        table.comparison([next(found) for _ in group], tests)
        for table, group in zip(tables, duels, strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A quantity of all models over the images that all of them have it of.

    Attributes:
        quantity: which one.
        models: each model's, over the shared images.
        controls: likewise that of each control map.
        scored: images that each model has it of.
        shared: which images all have it of.
        unshared: images that only some have it of.
    """

    quantity: ComparedQuantity
    models: tuple[Quantity, ...]
    controls: Mapping[str, Quantity]
    scored: tuple[int, ...]
    shared: Rows
    unshared: int

    @classmethod
    def of(cls, quantity: ComparedQuantity, columns: Columns, units: Units) -> "_Held":
        """Finds the shared images."""
        found = [
            quantity_of(key, columns.results[index].taken(units.images), name)
            for key, index, name in zip(
                quantity.keys, quantity.results, quantity.columns, strict=True
            )
        ]
        own = np.stack([one.contrast.scored for one in found])
        shared: Rows = np.asarray(own.all(axis=0))
        of_controls = columns.results[quantity.results[0]].taken(units.images)
        controls = {
            name: quantity_of(quantity.keys[0], of_controls, column).within(shared)
            for name, column in quantity.controls.items()
        }
        return cls(
            quantity=quantity,
            models=tuple(one.within(shared) for one in found),
            controls=controls,
            scored=tuple(int(count) for count in own.sum(axis=1)),
            shared=shared,
            unshared=int((own.any(axis=0) & ~shared).sum()),
        )

    def all_quantities(self) -> tuple[Quantity, ...]:
        """Those of the models, then those of the controls."""
        return (*self.models, *self.controls.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A quantity with its summaries.

    Attributes:
        held: the quantity.
        units: the units of sampling.
        models: each model's summary.
        controls: each control map's.
    """

    held: _Held
    units: Units
    models: tuple[Summary, ...]
    controls: Mapping[str, Summary]

    @classmethod
    def of(cls, held: _Held, units: Units, summaries: Sequence[Summary]) -> "_Table":
        """Puts summaries, in the order of `all_quantities`, to what they are of."""
        count = len(held.models)
        controls = dict(zip(held.controls, summaries[count:], strict=True))
        return cls(held, units, tuple(summaries[:count]), controls)

    def duels(self, pairs: Sequence[tuple[int, int]]) -> list[Duel]:
        """The pairs of models."""
        values = [self._value(place) for place in range(len(self.models))]
        is_tested = self.held.quantity.is_tested
        return [Duel(values[first], values[second], is_tested) for first, second in pairs]

    def _value(self, place: int) -> ModelValue:
        quantity, summary = self.held.models[place], self.models[place]
        contrast = self.units.summed_contrast(quantity.contrast)
        measured = Measured(contrast, quantity.reduction, self.units.grouped, self.units.largest)
        model = _model(self.held.quantity, place)
        lack = None if summary.value is not None else self._lack(model)
        return ModelValue(model, measured, summary.value, lack)

    def _lack(self, model: str) -> Missing:
        if self.held.shared.any():
            detail = f"{model} has nothing to divide by over the shared images"
            return Missing(Lack.NO_VALUE, detail)
        return Missing(Lack.NOTHING_SHARED, self._nothing_shared())

    def _nothing_shared(self) -> str:
        """Whose values are missing, and why; models that lack as many are not told apart."""
        scored = self.held.scored
        fewest = int(np.argmin(scored))
        reasons = self.models[fewest].undefined
        counted = ", ".join(f"{reason} of {count}" for reason, count in reasons.items())
        told = f" ({counted})" if counted else ""
        if max(scored) > scored[fewest]:
            named = _model(self.held.quantity, fewest)
            found = (
                f"{named} has the fewest, {scored[fewest]}{told}: evaluate the others without it"
            )
            return f"no image has a value of every model; {found}"
        if any(summary.undefined != reasons for summary in self.models):
            told = ""
        return f"no image has a value of every model, and no model has more than another{told}"

    def comparison(self, differences: Sequence[ModelDifference], tests: int) -> ModelComparison:
        """Puts everything together; `tests` is how many the whole comparison makes at most."""
        quantity, key = self.held.quantity, self.held.quantity.keys[0]
        return ModelComparison(
            metric=key.metric.echoed,
            removal=key.removal,
            explainer=key.explainer,
            part=quantity.part,
            direction=key.metric.direction,
            control=quantity.is_control,
            images=int(self.held.shared.sum()),
            unshared_images=self.held.unshared,
            models=tuple(
                ComparedModel(_model(quantity, place), summary, self.held.scored[place], result)
                for place, (summary, result) in enumerate(
                    zip(self.models, quantity.results, strict=True)
                )
            ),
            controls=self.controls,
            differences=tuple(differences),
            cautions=(
                *quantity.cautions,
                *self._unshared_caution(),
                *_reach_caution(differences, tests),
            ),
        )

    def _unshared_caution(self) -> tuple[str, ...]:
        images, lost = int(self.held.shared.sum()), self.held.unshared
        if lost <= MAX_UNSHARED * (images + lost):
            return ()
        told = (
            f"{lost} of {images + lost} images have a value of some models only and are left out: "
            "differences may be those of the images that are left"
        )
        return (told,)


def _reach_caution(differences: Sequence[ModelDifference], tests: int) -> tuple[str, ...]:
    """Says where no difference, however large, could be told from chance over so many tests."""
    units = [one.units for one in differences if one.p_value is not None]
    if not units or tests * smallest_two_sided_p_value(units[0], tests) <= SIGNIFICANCE:
        return ()
    told = (
        f"no p-value of {units[0]} units can be at most {SIGNIFICANCE:g} after the correction over "
        f"{tests} tests: compare more images, fewer metrics, or with a reference"
    )
    return (told,)


def _model(quantity: ComparedQuantity, place: int) -> str:
    """Name of a model: the result's own, or one of a panel."""
    models = quantity.keys[place].models
    return models[0] if len(models) == 1 else models[place]
