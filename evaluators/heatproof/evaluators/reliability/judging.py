"""From what was found of a metric to whether its scores deserve trust; the rules are ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.reliability.values import Holds, OrderStep, RatedMaps, Role, Trust

RESILIENT: Final = 0.75
"""From this share on a metric is taken to read maps and not their noise; 0.5 is chance."""
AGREED: Final = 2 / 3
"""Krippendorff's (2004) least alpha from which tentative conclusions may be drawn."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        holds: whether it speaks for trust.
        told: what it is, in a sentence.
    """

    holds: Holds
    told: str


def trust_of(findings: Sequence[Finding]) -> Trust:
    """One violation is enough for distrust, and one thing that the data do not tell for doubt."""
    verdicts = [finding.holds for finding in findings]
    if Holds.VIOLATED in verdicts:
        return Trust.UNTRUSTED
    if not verdicts or all(verdict is Holds.UNDECIDED for verdict in verdicts):
        return Trust.UNDECIDED
    return Trust.DOUBTFUL if Holds.UNDECIDED in verdicts else Trust.TRUSTED


def findings_of_mean(
    maps: Sequence[RatedMaps], steps: Sequence[OrderStep], resilience: Summary
) -> tuple[Finding, ...]:
    """What is found of the data set's score."""
    ladder = _Ladder(maps, steps)
    return (*ladder.oracle(), *ladder.explainers(), *ladder.blind(), *_resilient(resilience))


def findings_of_image(agreement: Summary) -> tuple[Finding, ...]:
    """What is found of a single image's ranking."""
    interval = agreement.interval
    if interval is None:
        told = "too few images or maps to tell whether images rank the maps alike"
        return (Finding(Holds.UNDECIDED, told),)
    told = (
        f"images rank the maps with an alpha of {agreement.value:.2f} "
        f"[{interval.lower:.2f}, {interval.upper:.2f}]; {AGREED:.2f} is the least to build on"
    )
    return (Finding(_above(interval.lower, interval.upper, AGREED), told),)


@dataclass(frozen=True, slots=True)
class _Ladder:
    maps: Sequence[RatedMaps]
    steps: Sequence[OrderStep]

    def oracle(self) -> Iterator[Finding]:
        """The model's own answers must beat random maps: one way to ask for them at least."""
        steps = self._between(Role.RANDOM, Role.ORACLE)
        if not steps:
            return
        verdicts = [step.holds for step in steps]
        holds = Holds.UNDECIDED
        if Holds.HOLDS in verdicts:
            holds = Holds.HOLDS
        elif all(verdict is Holds.VIOLATED for verdict in verdicts):
            holds = Holds.VIOLATED
        told = "; ".join(_told(step, self._name(step.better)) for step in steps)
        yield Finding(holds, f"the model's own answers against random maps: {told}")

    def explainers(self) -> Iterator[Finding]:
        """A metric that tells no explainer from noise ranks nothing."""
        steps = self._between(Role.RANDOM, Role.EXPLAINER)
        if not steps:
            return
        better = [self._name(step.better) for step in steps if step.holds is Holds.HOLDS]
        if better:
            yield Finding(Holds.HOLDS, f"better than random maps: {', '.join(better)}")
        elif all(step.holds is Holds.VIOLATED for step in steps):
            yield Finding(Holds.VIOLATED, "every explainer scores worse than random maps")
        else:
            yield Finding(Holds.UNDECIDED, "no explainer is shown to be better than random maps")

    def blind(self) -> Iterator[Finding]:
        """A map that knows nothing of the model must not beat all that do."""
        informed = Role.ORACLE if self._places(Role.ORACLE) else Role.EXPLAINER
        for place in self._places(Role.BLIND):
            steps = [one for one in self._between(Role.BLIND, informed) if one.worse == place]
            if steps and all(step.holds is Holds.VIOLATED for step in steps):
                above = "the model's own answers" if informed is Role.ORACLE else "all explainers"
                told = f"{self._name(place)}, which knows nothing of the model, beats {above}"
                yield Finding(Holds.VIOLATED, told)

    def _places(self, role: Role) -> list[int]:
        return [place for place, one in enumerate(self.maps) if one.role is role]

    def _between(self, worse: Role, better: Role) -> list[OrderStep]:
        return [
            step
            for step in self.steps
            if (self.maps[step.worse].role, self.maps[step.better].role) == (worse, better)
        ]

    def _name(self, place: int) -> str:
        return self.maps[place].explainer.name


def _told(step: OrderStep, name: str) -> str:
    if step.gain is None:
        return f"{name} without a score"
    ends = f" [{step.interval.lower:.3g}, {step.interval.upper:.3g}]" if step.interval else ""
    said = {Holds.HOLDS: "better", Holds.VIOLATED: "worse", Holds.UNDECIDED: "not told apart"}
    return f"{name} {said[step.holds]}, {step.gain:+.3g}{ends}"


def _resilient(resilience: Summary) -> Iterator[Finding]:
    if resilience.value is None:
        return
    interval = resilience.interval
    if interval is None:
        yield Finding(Holds.UNDECIDED, "too few images to tell what noise on a map does")
        return
    told = (
        f"in {resilience.value:.0%} of the cases noise on a map moves its score less than another "
        f"map does [{interval.lower:.0%}, {interval.upper:.0%}]"
    )
    yield Finding(_above(interval.lower, interval.upper, RESILIENT), told)


def _above(lower: float, upper: float, least: float) -> Holds:
    if lower >= least:
        return Holds.HOLDS
    return Holds.VIOLATED if upper < least else Holds.UNDECIDED
