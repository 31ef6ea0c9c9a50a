"""One image as one model sees it: what explainers and metrics work on."""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Map, Mask
from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.images.labels import Label
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import (
    IMAGE,
    TRAINED,
    BackwardRules,
    ModelPass,
    Weights,
)
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import (
    GradientView,
    LazyImage,
    MaskedView,
    Prediction,
    Procedure,
    predict,
)
from heatproof.evaluators.queries.seeds import generator, seed_of
from heatproof.evaluators.queries.targets import Head
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.regions.segmentation import Segmentation, split
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal.operator import Drawing, RemovalOperator, RemovalView


@dataclass(frozen=True, slots=True, eq=False)
class Donation:
    """Another image of the data set, in the model's input frame.

    Attributes:
        digest: SHA-256 of its bytes.
        image: its pixels.
    """

    digest: str
    image: LazyImage


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image as one model sees it.

    Its views carry the model and its weights, so that whoever asks through the sample asks
    the right one.

    Attributes:
        facts: what the model is and can do.
        image: the image in the model's input frame.
        digest: SHA-256 of the image's bytes.
        seed: of everything random.
        target: what of the model's answers is explained.
        answer: the model's answer to `image`; None for one that nobody has asked about.
        maps: the caller's maps by name, in the model's input frame.
        object_mask: where the object is, in the model's input frame; None if it was not given.
        boxes: boxes around objects, in the model's input frame.
        label: the true class, or all that it shows; None if it was not given.
        weights: weights of the model that are changed.
        is_perturbed: whether the pixels were changed, so that `image` is not what was uploaded.
        donors: other images of the data set by a seeded draw, as many as the evaluation reads.
        same_label_donors: more of its own label, as many as the evaluation reads and there are.
        other_label_donors: more of other labels, likewise.
        partner: the other image of its disjoint pair; None for one that is left over.
        leads_pair: whether it is the one that carries what is scored of the pair.
        counterparts: the clean image after an attack, by the operator that shows it, or why there
            is none.
        replacement: what was uploaded to be shown in place of the image, in the model's input
            frame; None if it was not, or nobody reads it.
        place: of the image among those that are evaluated together.
    """

    facts: PredictorFacts
    image: LazyImage
    digest: str
    seed: int
    target: Head
    answer: Prediction | None
    maps: Mapping[str, Map] = field(default_factory=dict)
    object_mask: Mask | None = None
    boxes: tuple[PixelBox, ...] = ()
    label: Label | None = None
    weights: Weights = TRAINED
    is_perturbed: bool = False
    donors: tuple[Donation, ...] = ()
    same_label_donors: tuple[Donation, ...] = ()
    other_label_donors: tuple[Donation, ...] = ()
    partner: Donation | None = None
    leads_pair: bool = False
    counterparts: Mapping[RemovalOperator, LazyImage | Undefined] = field(default_factory=dict)
    replacement: LazyImage | None = None
    place: int = 0

    @property
    def clean(self) -> Prediction:
        """The model's answer to `image`.

        Raises:
            InternalError: nobody has asked for it, a mistake of who reads it.
        """
        if self.answer is None:
            raise InternalError(
                "the answer to a perturbed image or of another model is read, and nobody asked for "
                "it: an explainer that reads it sets `reads_answer`, a metric asks by `answered`"
            )
        return self.answer

    def answered(self) -> "Procedure[Sample]":
        """The same sample with the model's answer, which is asked for unless it is at hand."""
        if self.answer is not None:
            return self
        return replace(self, answer=(yield from predict(self.view())))

    @property
    def identity(self) -> Hashable:
        """What tells its maps by one explainer from those of other samples."""
        own = self.facts.model, self.weights, self.target, self.image.key, self.is_perturbed
        return *own, self.digest, self.seed, self.place

    @property
    def height(self) -> int:
        """Height of the input in pixels."""
        return self.facts.height

    @property
    def width(self) -> int:
        """Width of the input in pixels."""
        return self.facts.width

    @property
    def confidence(self) -> float:
        """Probability of the target on the clean image."""
        return self.probability(self.clean)

    def probability(self, answer: Prediction) -> float:
        """Probability of the target."""
        return self.target.probability(answer)

    def logit(self, answer: Prediction) -> float:
        """Logit of the target."""
        return self.target.logit(answer)

    def margin(self, answer: Prediction) -> float:
        """Logit of the target less the highest other one.

        The temperature of the softmax scales it and changes nothing else. Classes of a sigmoid do
        not compete: there it is the logit alone.
        """
        return self.target.margin(answer, competing=self.facts.probabilities != "sigmoid")

    @property
    def target_weights(self) -> Float32[np.ndarray, "classes"]:
        """Weights of the logits whose sum is the target's logit."""
        return self.target.weights(self.facts.classes)

    def regions(self, segmentation: Segmentation) -> Regions:
        """Splits the image; models of one input size get equal regions."""
        return split(segmentation, self.image.key, self.image.draw, self.boxes)

    def rng(self, purpose: str) -> np.random.Generator:
        """Randomness for a purpose: the same for all models, explainers and operators."""
        return generator(self.seed, self.digest, purpose)

    def view(
        self,
        mask: Mask | None = None,
        removal: RemovalOperator | None = None,
        *,
        image: LazyImage | None = None,
        draw: int = 0,
    ) -> MaskedView:
        """Asks for a prediction of the image, or of another one, with cells removed.

        Args:
            mask: visibility; None hides nothing.
            removal: how cells are removed.
            image: the other image.
            draw: which of several draws of what a random operator paints; donors go by it too.
        """
        masking = None if removal is None else removal.masking
        run = ModelPass(self.facts.model, self.weights, masking)
        purpose = f"removal/{draw}" if draw else "removal"
        seed = 0 if removal is None else seed_of(self.seed, self.digest, purpose)
        shown = () if removal is None else self._substitutes(removal, draw)
        return MaskedView(image or self.image, run, mask, removal, seed, substitutes=shown)

    def tapped_view(self, *tensors: str) -> MaskedView:
        """Asks for a prediction of the image and a look at tensors."""
        plain = self.view()
        return replace(plain, run=replace(plain.run, taps=tensors))

    def gated_view(self, tensor: str, factors: Float32[np.ndarray, "channels"]) -> MaskedView:
        """Asks for a prediction of the image with the channels of a tensor scaled."""
        plain = self.view()
        return replace(plain, run=replace(plain.run, gate=tensor), gate=factors)

    def blend(self, shares: Map, removal: RemovalOperator) -> MaskedView:
        """Asks for a prediction of the image mixed with what an operator paints in its place.

        Args:
            shares: of the image in each pixel, in [0, 1]; the rest is the operator's.
            removal: an operator that `blends`.
        """
        digest = hashlib.sha256(np.ascontiguousarray(shares).data).hexdigest()
        key = f"blend/{self.image.key}/{self.digest}/{self.seed}/{removal}/{digest}"
        return self.view(image=LazyImage(key, lambda: self._blended(shares, removal)))

    def _blended(self, shares: Map, removal: RemovalOperator) -> Image:
        nothing = np.zeros((self.height, self.width), np.bool_)
        painted = removal.bind(self.removal_view(removal))(nothing).astype(np.float64)
        mixed = shares * self.image.draw() + (1 - shares) * painted
        return np.asarray(mixed, np.float32)

    def removal_view(self, removal: RemovalOperator) -> RemovalView:
        """What an operator sees of the image, for who draws it without asking the model."""
        return RemovalView(self.image.draw(), self.rng("removal"), self._substitutes(removal))

    def _substitutes(self, removal: RemovalOperator, draw: int = 0) -> tuple[Drawing, ...]:
        if Reads.DONORS in removal.reads:
            return tuple(donation.image.draw for donation in self.donors[draw:])
        is_replaced = Reads.REPLACEMENT in removal.reads
        made = self.replacement if is_replaced else self.counterparts.get(removal)
        return (made.draw,) if isinstance(made, LazyImage) else ()

    def gradient_view(
        self,
        output_gradient: Float32[np.ndarray, "classes"] | None = None,
        *,
        wrt: str = IMAGE,
        image: LazyImage | None = None,
        rules: BackwardRules = BackwardRules.EXACT,
    ) -> GradientView:
        """Asks for a gradient of the target's logit, or of other weights of the logits."""
        run = ModelPass(self.facts.model, self.weights, wrt=wrt, rules=rules)
        weights = self.target_weights if output_gradient is None else output_gradient
        return GradientView(image or self.image, run, weights)

    def moved(self, image: LazyImage, answer: Prediction | None = None) -> "Sample":
        """The same sample after a perturbation of its pixels, with the answer if it is at hand."""
        return replace(self, image=image, answer=answer, is_perturbed=True)

    def reweighted(self, weights: Weights) -> "Sample":
        """The same sample as the model with other weights sees it; the target stays."""
        return replace(self, weights=weights, answer=None)
