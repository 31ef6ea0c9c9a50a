"""Packs queries of many procedures into full batches of one model, each answered once."""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

import numpy as np
from jaxtyping import Float32, Float64
from scipy.special import expit, softmax

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Images, Logits
from heatproof.evaluators.queries.predictor import Predictor, PredictorFacts
from heatproof.evaluators.queries.procedure import Answer, Gradient, MaskedView, Prediction, Query
from heatproof.evaluators.removal.operator import Render

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_REMEMBERED_BYTES: Final = 32 << 20
_REMEMBERED_MOST: Final = 4096
_BOUND_OPERATORS: Final = 16


class Kind(StrEnum):
    """Ways to run a model; each fills batches of its own."""

    PLAIN = "plain"
    MASKED = "masked"
    GRADIENT = "gradient"


@dataclass(frozen=True, slots=True)
class Route:
    """A lane: a way to run the model, with its masking mode or tensor."""

    kind: Kind
    detail: str = ""


@dataclass(slots=True, eq=False)
class Request:
    """A query that waits for its answer, with all who asked for it."""

    query: Query
    key: Hashable
    waiting: list[Callable[[Answer], None]] = field(default_factory=list)


class Recent(Generic[K, V]):
    """Remembers the values that were used last, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Finds a value and marks it as used."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: K, value: V) -> None:
        """Remembers a value and forgets the one that was not used for longest."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)


class Packer:
    """Collects queries to one model and runs them in batches of its fixed size.

    A last, incomplete batch is padded with its own first row. Pixels are drawn when a batch is cut.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.facts: PredictorFacts = predictor.facts
        self.rows_done = 0
        self._predictor = predictor
        self._lanes: dict[Route, deque[Request]] = {}
        self._open: dict[Hashable, Request] = {}
        row_bytes = 12 * self.facts.classes + 512
        self._known: Recent[Hashable, Answer] = Recent(
            min(_REMEMBERED_MOST, max(self.facts.batch_size, _REMEMBERED_BYTES // row_bytes))
        )
        self._renders: Recent[Hashable, Render] = Recent(_BOUND_OPERATORS)

    @property
    def waiting(self) -> int:
        """Rows that wait for a batch."""
        return sum(len(lane) for lane in self._lanes.values())

    @property
    def fullest(self) -> int:
        """Rows in the fullest lane."""
        return max((len(lane) for lane in self._lanes.values()), default=0)

    def ask(self, query: Query, answered: Callable[[Answer], None]) -> None:
        """Queues a query; an equal one that waits or was answered lately is not run again."""
        query = _simplest(query)
        key = _key(query)
        known = self._known.get(key)
        if known is not None:
            answered(known)
            return
        request = self._open.get(key)
        if request is None:
            request = self._open[key] = Request(query, key)
            self._lanes.setdefault(_route(query), deque()).append(request)
        request.waiting.append(answered)

    def run(self) -> None:
        """Cuts one batch from the fullest lane, the oldest one of several, and answers it."""
        route = max(self._lanes, key=lambda route: len(self._lanes[route]))
        lane = self._lanes[route]
        requests = [lane.popleft() for _ in range(min(len(lane), self.facts.batch_size))]
        answers = self._answers(route, requests)
        self.rows_done += len(requests)
        for request, answer in zip(requests, answers, strict=True):
            del self._open[request.key]
            if isinstance(answer, Prediction):
                self._known.put(request.key, answer)
            for answered in request.waiting:
                answered(answer)

    def _answers(self, route: Route, requests: list[Request]) -> list[Answer]:
        if route.kind is Kind.GRADIENT:
            return self._gradient(route, requests)
        if route.kind is Kind.MASKED:
            return self._masked(route, requests)
        logits = self._predictor.logits(self._images(requests))
        return [self._prediction(row, 1.0) for row in self._checked(logits)[: len(requests)]]

    def _masked(self, route: Route, requests: list[Request]) -> list[Answer]:
        masks = self._padded([_mask(request.query, self.facts) for request in requests])
        answer = self._predictor.masked_logits(self._images(requests), masks, route.detail)
        rows = zip(self._checked(answer.logits), answer.coverage.tolist(), strict=True)
        return [self._prediction(*row) for row, _ in zip(rows, requests, strict=False)]

    def _gradient(self, route: Route, requests: list[Request]) -> list[Answer]:
        weights = self._padded([_weights(request.query) for request in requests])
        answer = self._predictor.gradients(self._images(requests), weights, route.detail)
        rows = zip(answer.activations, answer.gradients, strict=True)
        # Copies: views would keep the whole batch alive.
        return [Gradient(a.copy(), g.copy()) for (a, g), _ in zip(rows, requests, strict=False)]

    def _images(self, requests: list[Request]) -> Images:
        return self._padded([self._draw(request.query) for request in requests])

    def _draw(self, query: Query) -> Image:
        picture = query.picture
        if not isinstance(query, MaskedView) or query.mask is None or query.removal is None:
            return picture.draw()
        key = picture.key, query.removal
        render = self._renders.get(key)
        if render is None:
            render = query.removal.bind(picture.draw())
            self._renders.put(key, render)
        return render(query.mask)

    def _padded(self, rows: list[np.ndarray]) -> np.ndarray:
        return np.stack(rows + rows[:1] * (self.facts.batch_size - len(rows)))

    def _checked(self, logits: Logits) -> Logits:
        wanted = self.facts.batch_size, self.facts.classes
        if logits.shape != wanted:
            raise InternalError(
                f"{self.facts.model} answered with logits {logits.shape}, not {wanted}"
            )
        return logits

    def _prediction(self, row: Float32[np.ndarray, "classes"], coverage: float) -> Prediction:
        own = row.copy()
        return Prediction(own, probabilities(own, self.facts.probabilities), coverage)


def probabilities(
    logits: Float32[np.ndarray, "classes"], kind: str
) -> Float64[np.ndarray, "classes"]:
    """Softmax or sigmoid in float64; all NaN if a logit is not finite."""
    if not np.isfinite(logits).all():
        return np.full(logits.shape, np.nan)
    wide = logits.astype(np.float64)
    return np.asarray(expit(wide) if kind == "sigmoid" else softmax(wide))


def _simplest(query: Query) -> Query:
    """Where nothing is hidden nothing is removed: the plain model answers for all operators."""
    if isinstance(query, MaskedView) and query.mask is not None and query.mask.all():
        return MaskedView(query.picture)
    return query


def _key(query: Query) -> Hashable:
    if not isinstance(query, MaskedView):
        return query.picture.key, query.tensor, query.output_gradient.tobytes()
    if query.mask is None:
        return query.picture.key
    return query.picture.key, query.removal, hashlib.sha256(np.packbits(query.mask).data).digest()


def _route(query: Query) -> Route:
    if not isinstance(query, MaskedView):
        return Route(Kind.GRADIENT, query.tensor)
    if query.removal is not None and query.removal.masking_mode:
        return Route(Kind.MASKED, query.removal.masking_mode)
    return Route(Kind.PLAIN)


def _mask(query: Query, facts: PredictorFacts) -> np.ndarray:
    if isinstance(query, MaskedView) and query.mask is not None:
        return query.mask
    return np.ones((facts.height, facts.width), np.bool_)


def _weights(query: Query) -> np.ndarray:
    if isinstance(query, MaskedView):
        raise InternalError("a masked view has no output gradient")
    return query.output_gradient
