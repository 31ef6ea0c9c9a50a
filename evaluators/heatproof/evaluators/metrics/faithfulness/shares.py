"""What is read where given shares of the regions are removed or shown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.perturbation import PerturbationMetric
from heatproof.evaluators.outcomes import Curve
from heatproof.evaluators.registry.parameters import Range, parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesMetric(PerturbationMetric):
    """Reads what the model says at given shares of the regions, `floor(t n)` of n regions each."""

    shares: tuple[float, ...] = parameter(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        "Shares of the regions, ascending.",
        within=Range(0, 1, lower_included=False),
    )

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and shares that do not ascend."""
        PerturbationMetric.check(self, case)
        if not self.shares:
            raise InvalidArgumentError("shares is empty: name at least one", field="shares")
        if any(
            after <= before for before, after in zip(self.shares, self.shares[1:], strict=False)
        ):
            raise InvalidArgumentError(
                f"shares must ascend, and are {', '.join(map(str, self.shares))}", field="shares"
            )

    def curve(self, values: Float64[np.ndarray, "shares"]) -> Curve:
        """Values at the shares as a result."""
        return Curve(self.shares, tuple(values.tolist()))
