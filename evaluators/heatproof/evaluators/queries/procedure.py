"""How metrics and explainers ask the model: generators that yield queries and receive answers.

A procedure never calls the model. It yields the queries whose answers it needs next, and the
evaluation advances many procedures side by side, so that queries of all images, curves and steps
share full batches, and equal queries are answered once.
"""

import hashlib
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar, overload

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.removal.operator import Drawing, RemovalOperator

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class LazyImage:
    """Pixels with an identity, so that equal queries are recognised without comparing pixels.

    Attributes:
        key: digest of the pixels, or of all that determines them.
        draw: gives the pixels, RGB in [0, 1]; called when a batch is cut, so that waiting images
            need no memory.
        content: digest of the pixels, by which other evaluations know them; "" where the key names
            what they are drawn from.
    """

    key: str
    draw: Callable[[], Image]
    content: str = ""

    @classmethod
    def of(cls, pixels: Image) -> "LazyImage":
        """An image whose pixels are at hand."""
        digest = hashlib.sha256(repr(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return cls(digest.hexdigest(), lambda: pixels, digest.hexdigest())

    def shown_with(self, other: "LazyImage | None") -> "LazyImage":
        """The same pixels where another image is shown in their place.

        Equal pixels with different replacements are not one: their masked views differ.
        """
        if other is None:
            return self
        return LazyImage(f"{self.key}/with/{other.key}", self.draw, self.content)


@dataclass(frozen=True, slots=True, eq=False)
class MaskedView:
    """Asks for the prediction of an image whose hidden cells are removed by an operator.

    Attributes:
        image: the clean pixels.
        run: how the model is run; it masks if the operator hides cells inside the network.
        mask: visibility; None hides nothing.
        removal: how cells are removed; None with `mask` None.
        seed: of what the operator draws.
        gate: factor of each channel of the tensor `run.gate`; None if it gates nothing.
        substitutes: images that the operator shows, if it reads any; given by `image`, `run.model`,
            `removal` and `seed`.
    """

    image: LazyImage
    run: ModelPass
    mask: Mask | None = None
    removal: RemovalOperator | None = None
    seed: int = 0
    gate: Float32[np.ndarray, "channels"] | None = None
    substitutes: tuple[Drawing, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """Answers a masked view.

    Attributes:
        logits: class scores.
        probabilities: softmax or sigmoid of the logits, in float64.
        coverage: visible share of the last spatial mask; 1 for pixel operators.
        features: the tensors that `run.taps` names.
    """

    logits: Float32[np.ndarray, "classes"]
    probabilities: Float64[np.ndarray, "classes"]
    coverage: float
    features: Mapping[str, Float32[np.ndarray, "..."]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class GradientView:
    """Asks for a gradient of the logits.

    Attributes:
        image: where to differentiate.
        run: how the model is run; `run.wrt` is the tensor to differentiate by.
        output_gradient: weight of each logit.
    """

    image: LazyImage
    run: ModelPass
    output_gradient: Float32[np.ndarray, "classes"]


@dataclass(frozen=True, slots=True)
class Gradient:
    """Answers a gradient view.

    Attributes:
        activation: the tensor that was differentiated by.
        gradient: gradient in it, of its shape; all NaN where the logits are not finite.
    """

    activation: Float32[np.ndarray, "..."]
    gradient: Float32[np.ndarray, "..."]


Query: TypeAlias = MaskedView | GradientView
Answer: TypeAlias = Prediction | Gradient


@dataclass(frozen=True, slots=True, eq=False)
class SharedMap:
    """Asks for a map that others may ask for too: equal ones are made once.

    Attributes:
        key: all that determines the map.
        make: starts the procedure that makes it; not called for a map that is at hand.
    """

    key: Hashable
    make: "Callable[[], Procedure[Any]]"


Asked: TypeAlias = Query | SharedMap
Procedure: TypeAlias = Generator[Sequence[Asked], Sequence[Any], T]
"""Yields queries, receives their answers in the same order, returns its result."""

CHUNK: Final = 32
"""Queries a procedure waits for at once, so that its memory does not grow with its steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """What a model says of one class under many masks.

    Attributes:
        values: what was read of each answer, such as the probability of the class.
        coverage: visible share of the last spatial mask.
    """

    values: Float64[np.ndarray, "views"]
    coverage: Float64[np.ndarray, "views"]

    @property
    def zero_coverage(self) -> int:
        """How many answers were answers to nothing."""
        return int((self.coverage == 0).sum())


@overload
def ask(queries: Sequence[MaskedView]) -> Procedure[Sequence[Prediction]]: ...


@overload
def ask(queries: Sequence[GradientView]) -> Procedure[Sequence[Gradient]]: ...


def ask(queries: Sequence[Query]) -> Procedure[Sequence[Any]]:
    """Asks for predictions or gradients; the answers come in the order of the queries."""
    return (yield queries)


def predict(view: MaskedView) -> Procedure[Prediction]:
    """Asks for one prediction."""
    (answer,) = yield from ask([view])
    return answer


def differentiate(view: GradientView) -> Procedure[Gradient]:
    """Asks for one gradient."""
    (answer,) = yield from ask([view])
    return answer


def together(parts: Iterable[Procedure[T]]) -> Procedure[list[T]]:
    """Runs procedures side by side, so that what they ask shares batches.

    Each part goes on when the answers to all of them have come. Results are in the order of the
    parts.
    """
    results: dict[int, T] = {}
    waiting: dict[int, tuple[Procedure[T], Sequence[Asked]]] = {}

    def advance(place: int, part: Procedure[T], answers: Sequence[Any] | None) -> None:
        try:
            waiting[place] = part, next(part) if answers is None else part.send(answers)
        except StopIteration as end:
            results[place] = end.value

    for place, part in enumerate(parts):
        advance(place, part, None)
    while waiting:
        asked, waiting = waiting, {}
        answers = iter((yield [query for _, queries in asked.values() for query in queries]))
        for place, (part, queries) in asked.items():
            advance(place, part, list(islice(answers, len(queries))))
    return [results[place] for place in sorted(results)]


def in_turn(parts: Iterable[Procedure[T]]) -> Procedure[list[T]]:
    """Runs procedures one after another, so that fewer answers wait than with `together`."""
    results: list[T] = []
    for part in parts:
        results.append((yield from part))  # noqa: PERF401  # no comprehension may yield
    return results


Readout: TypeAlias = Callable[[Prediction], float]
"""What is read of an answer, such as the probability of a class."""


def respond(views: Iterable[MaskedView], read: Readout) -> Procedure[Responses]:
    """Asks for many views and reads one number of each answer; `views` may be lazy."""
    values: list[float] = []
    coverage: list[float] = []
    for chunk in chunks(views):
        answers = yield from ask(chunk)
        values += [read(answer) for answer in answers]
        coverage += [answer.coverage for answer in answers]
    return Responses(np.array(values, np.float64), np.array(coverage, np.float64))


def chunks(queries: Iterable[T]) -> Iterator[list[T]]:
    """Cuts queries into lists of at most `CHUNK`."""
    source = iter(queries)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
