"""SaCo: whether groups of regions of higher salience have the larger effects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    RegionSubsets,
)
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.functions.subsets import LEAST_EFFECT, Subset
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.regions import Regions
from heatproof.evaluators.regions.grid import descending, ranks
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Saco(RegionSubsets):
    """Takes the balance of the pairs of salience groups whose effects are in order, and are not.

    The regions are cut into groups `G_1..G_K` from most to least salient, each of which is removed
    alone. Over the pairs i < j: `sum of w_ij / sum of |w_ij|`, `w_ij` the salience of `G_i` less
    that of `G_j`, negated where `G_i` takes less away than `G_j`; in [-1, 1]. Salience and effect
    are by area (published: summed, over groups of equal size).
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="saco",
        reference="Wu et al. 2024, arXiv 2404.01415",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    groups: int = parameter(10, "Groups; at most the regions.", within=Range(2, 1000))

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, and more groups than regions."""
        RegionSubsets.check(self, case)
        most = self.segmentation.most(case.model.height, case.model.width)
        if self.groups > most:
            raise InvalidArgumentError(
                f"groups is {self.groups}, but there are at most {most} regions: take fewer groups "
                "or finer regions",
                field="groups",
            )

    def cost(self, case: Case) -> Cost:
        """Every group once."""
        return Cost(views=self.groups)

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """The regions in the order of the map, cut into groups; ties fall as the seed draws them.

        Of fewer regions than groups, each is a group.
        """
        order = descending(regions.means(case.map), case.sample.rng("ties"))
        places, cells = ranks(order), regions.cells
        groups = min(self.groups, cells)
        for group in range(groups):
            first, end = group * cells // groups, (group + 1) * cells // groups
            yield (first <= places) & (places < end)

    def measure(self, evidence: Evidence) -> Outcome:
        """`sum of w_ij / sum of |w_ij|` over the pairs i < j."""
        drops = evidence.drops
        if is_constant(drops, LEAST_EFFECT):
            detail = "removing groups of regions has the same effect wherever they lie"
            return Outcome(Undefined(Reason.NO_PLACE_EFFECT, detail))
        # By area, for groups may differ by a region; a common area changes nothing.
        areas = evidence.masses(evidence.regions.areas.astype(np.float64))
        salience, effects = evidence.attributions / areas, drops / areas
        first, second = np.triu_indices(drops.size, 1)
        gaps = salience[first] - salience[second]
        weights = np.where(effects[first] >= effects[second], gaps, -gaps)
        return Outcome(float(np.clip(weights.sum() / np.abs(weights).sum(), -1, 1)))
