"""Explains an image whose values are shifted, for a model that takes the shift back.

The explainer is handed the shifted image, and every query that it makes is sent with the shift
taken off again: what comes back is what the model behind a subtraction would say, and no second
model is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Image, Map, Mask
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import IMAGE
from heatproof.evaluators.queries.procedure import (
    Answer,
    Gradient,
    LazyImage,
    MaskedView,
    Procedure,
    Query,
)
from heatproof.evaluators.queries.sample import Donation, Sample
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.regions.segmentation import Segmentation
from heatproof.evaluators.removal.operator import (
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

T = TypeVar("T")


def shifted_map(explainer: Explainer, sample: Sample, shift: float) -> Procedure[Map | Undefined]:
    """The map of `x + shift` for the model `f(. - shift)`.

    Images that are shown in its place are shifted as well; a colour that is painted is not.
    Regions are those of the image itself.
    """
    moved = _shifted_sample(sample, shift)
    return (yield from _sent_back(explainer.explain(moved), _Shift(sample, shift)))


@dataclass(frozen=True, slots=True, eq=False)
class _ShiftedSample(Sample):
    """A sample whose image is shifted, and whose regions are those of the image as it was."""

    original: Sample | None = None

    def regions(self, segmentation: Segmentation) -> Regions:
        """Splits the image as it was."""
        assert self.original is not None  # noqa: S101  # for the type checkers: always given
        return self.original.regions(segmentation)


def _shifted_sample(sample: Sample, shift: float) -> Sample:
    held = {declared.name: getattr(sample, declared.name) for declared in fields(Sample)}
    held["image"] = _moved(sample.image, shift)
    held["is_perturbed"] = True
    held["donors"] = tuple(
        Donation(donation.digest, _moved(donation.image, shift)) for donation in sample.donors
    )
    if sample.replacement is not None:
        held["replacement"] = _moved(sample.replacement, shift)
    held["counterparts"] = {
        operator: _moved(made, shift) if isinstance(made, LazyImage) else made
        for operator, made in sample.counterparts.items()
    }
    return _ShiftedSample(**held, original=sample)


def _moved(image: LazyImage, shift: float) -> LazyImage:
    return LazyImage(f"{image.key}/shift/{shift!r}", lambda: image.draw() + np.float32(shift))


def _sent_back(procedure: Procedure[T], shift: "_Shift") -> Procedure[T]:
    """The same procedure, whose queries have the shift taken off."""
    try:
        queries: Sequence[Any] = next(procedure)  # an explainer asks the model alone
        while True:
            answers = yield [shift.off(query) for query in queries]
            seen = map(shift.on, queries, answers)
            queries = procedure.send(list(seen))
    except StopIteration as end:
        result: T = end.value
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Shift:
    """Takes a shift off what is asked, and puts it onto what is answered.

    Attributes:
        sample: the image as it was.
        shift: what was added.
    """

    sample: Sample
    shift: float

    def off(self, query: Query) -> Query:
        """The query that the model is sent."""
        image = self._image(query.image)
        if not isinstance(query, MaskedView) or query.removal is None:
            return replace(query, image=image)
        if query.removal.masking is not None:
            return replace(query, image=image)
        return replace(query, image=image, removal=_TakenOff(query.removal, self.shift))

    def on(self, query: Query, answer: Answer) -> Answer:
        """The answer that the explainer sees: by the image, the tensor is the image."""
        if isinstance(answer, Gradient) and query.run.wrt == IMAGE:
            return replace(answer, activation=answer.activation + np.float32(self.shift))
        return answer

    def _image(self, image: LazyImage) -> LazyImage:
        """Bit for bit the image as it was where the explainer asks of the shifted one itself."""
        known = {_moved(self.sample.image, self.shift).key: self.sample.image}
        for donation in self.sample.donors:
            known[_moved(donation.image, self.shift).key] = donation.image
        return known.get(image.key) or _moved(image, -self.shift)


@dataclass(frozen=True, slots=True)
class _TakenOff(RemovalOperator):
    """Removes from the shifted image and takes the shift off again.

    Attributes:
        inner: the operator as the explainer means it.
        shift: what was added.
    """

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="taken_off", reference="Heatproof", content_free=False
    )

    inner: RemovalOperator
    shift: float

    def bind(self, view: RemovalView) -> Render:
        """Binds the operator to the shifted image; what it shows instead comes shifted."""
        shift = np.float32(self.shift)
        render = self.inner.bind(RemovalView(view.image + shift, view.rng, view.substitutes))

        def sent(mask: Mask) -> Image:
            return np.where(mask, view.image, render(mask) - shift)

        return sent
