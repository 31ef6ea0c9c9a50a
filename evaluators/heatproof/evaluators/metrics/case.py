"""What a metric is handed: exactly what it declares to read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.labels import Label, LabelSet
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, SharedMap
from heatproof.evaluators.queries.sample import Donation, Sample
from heatproof.evaluators.queries.targets import Head
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal.operator import RemovalOperator

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """All there is for a score, whoever reads it; None or empty where there is nothing.

    Attributes:
        removal: the removal operator.
        explainer: the explainer.
        sample: the image as the model sees it; None while a score is only planned.
        map: the explainer's map.
        objects: where the object is, in the model's input frame: its mask, or its boxes filled in;
            None for an image without either.
        label: the true class, or all that it shows.
        panel: the image as each model of the spec sees it, by the models' names.
        panel_maps: the explainer's map on each model; a model without one is absent.
        panel_targets: what of each model's answers is explained.
        models: names of the models that the score is of.
    """

    removal: RemovalOperator | None = None
    explainer: Explainer | None = None
    sample: Sample | None = None
    map: Map | None = None
    objects: Mask | None = None
    label: Label | None = None
    panel: Mapping[str, Sample] = field(default_factory=dict)
    panel_maps: Mapping[str, Map] = field(default_factory=dict)
    panel_targets: Mapping[str, Head] = field(default_factory=dict)
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One score to make: a model, what the metric is combined with, and the image.

    Every property but `model` raises InternalError, a mistake of the metric's author, where the
    metric does not declare that it reads it.

    Attributes:
        reads: what the metric declares.
        model: what the model is and can do.
        given: all there is.
    """

    reads: tuple[Reads, ...]
    model: PredictorFacts
    given: Given

    @property
    def sample(self) -> Sample:
        """The image as the model sees it."""
        if self.given.sample is None:
            raise InternalError("a metric asks for an image while its score is only planned")
        return self.given.sample

    @property
    def removal(self) -> RemovalOperator:
        """The removal operator."""
        return self._held(Reads.REMOVAL, self.given.removal)

    @property
    def explainer(self) -> Explainer:
        """The explainer, which makes maps anew."""
        return self._held(Reads.EXPLAINER, self.given.explainer)

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """The explainer's map of another sample, made once for all metrics that ask for it."""
        explainer = self.explainer
        asked = SharedMap((explainer, sample.identity), partial(_made, explainer, sample))
        (made,) = yield [asked]
        return cast("Map | Undefined", made)

    @property
    def map(self) -> Map:
        """The explainer's map."""
        return self._held(Reads.ATTRIBUTION, self.given.map)

    @property
    def objects(self) -> Mask | None:
        """Where the object is, in the model's input frame; None if the image came without."""
        self._require(Reads.OBJECTS)
        return self.given.objects

    @property
    def label(self) -> Label:
        """The true class, or all that the image shows."""
        self._require(Reads.LABEL)
        held = self.given.label
        return held if isinstance(held, LabelSet) else self._held(Reads.LABEL, held)

    @property
    def panel_models(self) -> tuple[str, ...]:
        """Names of the models of the panel, known while a score is only planned."""
        self._require(Reads.PANEL)
        return self.given.models

    @property
    def panel(self) -> Mapping[str, Sample]:
        """The image as each model of the panel sees it, by the models' names."""
        self._require(Reads.PANEL)
        return self.given.panel

    @property
    def panel_maps(self) -> Mapping[str, Map]:
        """The explainer's map on each model of the panel; a model without one is absent."""
        if Reads.PANEL_MAPS not in self.reads:
            self._require(Reads.PANEL)
        self._require(Reads.ATTRIBUTION)
        return self.given.panel_maps

    @property
    def panel_targets(self) -> Mapping[str, Head]:
        """What of the answers of each model of the panel is explained, by the models' names."""
        self._require(Reads.PANEL_TARGETS)
        return self.given.panel_targets

    @property
    def donors(self) -> tuple[Donation, ...]:
        """Other images of the data set, one at least; ask for them by `sample.view(image=...)`."""
        self._require(Reads.DONORS)
        return self.sample.donors

    @property
    def partner(self) -> Donation | None:
        """The other image of its disjoint pair; None for one that is left over."""
        self._require(Reads.DONORS)
        return self.sample.partner

    @property
    def leads_pair(self) -> bool:
        """Whether the image carries what is scored of its pair; its partner has no score then."""
        self._require(Reads.DONORS)
        return self.sample.leads_pair

    def randomized(self, weights: Weights) -> Sample:
        """The image as the model sees it with weights of some layers changed, not yet answered."""
        self._require(Reads.RANDOMIZED_MODELS)
        return self.sample.reweighted(weights)

    def grid(self, side: int) -> GridCells:
        """The model's input split into `side * side` cells."""
        return GridCells(self.model.height, self.model.width, side)

    def _held(self, what: Reads, value: T | None) -> T:
        self._require(what)
        if value is None:
            raise InternalError(f"a metric reads {what}, which it was not given")
        return value

    def _require(self, what: Reads) -> None:
        if what not in self.reads:
            raise InternalError(f"a metric reads {what} but does not declare it")


def _made(explainer: Explainer, sample: Sample) -> Procedure[Map | Undefined]:
    """A map; the model's answer to the sample is asked for only where the explainer reads it."""
    seen = (yield from sample.answered()) if explainer.reads_answer else sample
    return (yield from explainer.explain(seen))
