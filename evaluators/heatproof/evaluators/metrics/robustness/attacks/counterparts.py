"""Images after an attack, for the removal operators that show them."""

from collections.abc import Iterable
from itertools import chain

import numpy as np

from heatproof.evaluators.metrics.robustness.attacks.ascents import gradient_ascent
from heatproof.evaluators.metrics.robustness.attacks.attack import Attack, adversarial_attack
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Registered, parts_of
from heatproof.evaluators.removal import Adversarial


def attacks_in(things: Iterable[Registered]) -> tuple[Adversarial, ...]:
    """The operators among things, or in their parameters, that show an attacked image."""
    parts = chain.from_iterable(map(parts_of, things))
    return tuple(dict.fromkeys(part for part in parts if isinstance(part, Adversarial)))


def counterpart_rows(things: Iterable[Registered]) -> int:
    """Rows that the attacked images of one image cost."""
    return sum(operator.counterpart_cost for operator in attacks_in(things))


def counterpart(sample: Sample, operator: Adversarial) -> Procedure[LazyImage | Undefined]:
    """Attacks all of an image, against what is explained of the model's answer."""
    everywhere = np.ones((sample.height, sample.width), np.bool_)
    attack = Attack(everywhere, operator.epsilon, operator.steps)
    found = yield from adversarial_attack(sample, attack, gradient_ascent)
    if isinstance(found, Undefined) and found.reason is Reason.NO_GRADIENT:
        return Undefined(
            found.reason, "the gradient is 0 all over the image, so nothing attacks it"
        )
    return found if isinstance(found, Undefined) else LazyImage.of(found)
