"""Packs queries of many procedures into full batches of one model, each answered once."""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeVar

import numpy as np
import scipy
from jaxtyping import Float32, Float64

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Logits, Mask
from heatproof.evaluators.images.compositions import Composition, drawn
from heatproof.evaluators.queries.known.answers import AnswerRow, KnownAnswers
from heatproof.evaluators.queries.known.keys import drawn_key, named_key
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch, Predictor, PredictorFacts
from heatproof.evaluators.queries.procedure import Answer, Gradient, MaskedView, Prediction, Query
from heatproof.evaluators.removal.operator import Backdrop, RemovalOperator, RemovalView, Render
from heatproof.evaluators.removal.painting import Painter

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_REMEMBERED_BYTES: Final = 32 << 20
_REMEMBERED_MOST: Final = 4096
_REMEMBERED_FEATURES: Final = 64 << 10
"""Bytes of tapped tensors up to which an answer is remembered: vectors are, feature maps not."""
_BOUND_OPERATORS: Final = 16


@dataclass(slots=True, eq=False)
class Request:
    """A query that waits for its answer, with all who asked for it.

    Attributes:
        query: what is asked.
        key: what tells it from others of this evaluation.
        place: of the image for which it was asked first.
        name: its SHA-256 for every evaluation; None where it is not known, or of no use.
        shown: gives what its row shows; None before anything is begun for it.
        waiting: all who asked for it.
    """

    query: Query
    key: Hashable
    place: int = 0
    name: bytes | None = None
    shown: Callable[[], Composition] | None = None
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


class Batcher:
    """Collects queries to one model and submits them in batches of its fixed size.

    Each way to run the model fills batches of its own. A last, incomplete batch is padded with its
    own first row. Pixels are drawn when a batch is cut; what is painted anew for each mask is begun
    before, on every core. What is known from elsewhere takes no row.

    Args:
        predictor: the model.
        known: its answers that are known from elsewhere; None if nothing is to be looked up.

    Attributes:
        facts: what the model is and can do.
        rows_run: rows that were run, without padding.
        rows_known: rows that need not be run, for their answers were known.
    """

    def __init__(self, predictor: Predictor, known: KnownAnswers | None = None) -> None:
        self.facts: PredictorFacts = predictor.facts
        self.rows_run = self.rows_known = 0
        self._predictor = predictor
        self._known = known
        self._met: set[bytes] = set()
        self._lanes: dict[ModelPass, deque[Request]] = {}
        self._open: dict[Hashable, Request] = {}
        row_bytes = 12 * self.facts.classes + 512
        self._recent: Recent[Hashable, Answer] = Recent(
            min(_REMEMBERED_MOST, max(self.facts.batch_size, _REMEMBERED_BYTES // row_bytes))
        )
        self._renders: Recent[Hashable, Render] = Recent(_BOUND_OPERATORS)
        self._painter = Painter(self.facts.cores)
        self._submitted: deque[tuple[list[Request], Future[Answers]]] = deque()

    @property
    def rows_done(self) -> int:
        """Rows that were answered: run or known."""
        return self.rows_run + self.rows_known

    @property
    def waiting(self) -> int:
        """Rows that wait for a batch."""
        return sum(len(lane) for lane in self._lanes.values())

    @property
    def fullest(self) -> int:
        """Rows in the fullest lane."""
        return max((len(lane) for lane in self._lanes.values()), default=0)

    @property
    def in_flight(self) -> int:
        """Batches whose answers have not been taken."""
        return len(self._submitted)

    def ask(self, query: Query, answered: Callable[[Answer], None], place: int = 0) -> None:
        """Queues a query; an equal one that waits or is known is not run again.

        Args:
            query: what is asked.
            answered: called with the answer, perhaps at once.
            place: of the image for which it is asked.
        """
        query = _simplest(query)
        key = _key(query)
        recent = self._recent.get(key)
        if recent is not None:
            answered(recent)
            return
        request = self._open.get(key)
        if request is None:
            request = self._open[key] = Request(query, key, place)
            request.waiting.append(answered)
            if self._known is not None:
                request.name = named_key(query)
            if not self._is_settled(request):
                self._lanes.setdefault(query.run, deque()).append(request)
            return
        request.waiting.append(answered)

    def submit(self) -> bool:
        """Cuts one batch from the fullest lane, the oldest one of several, and submits it.

        Returns:
            whether there is one: all that waited may turn out to be known once it is drawn.
        """
        run, lane = max(self._lanes.items(), key=lambda item: len(item[1]))
        requests, rows = self._cut(lane)
        if requests:
            future = self._predictor.submit(run, self._batch(requests, rows))
            self._submitted.append((requests, future))
        return bool(requests)

    def collect(self) -> None:
        """Waits for the batch that was submitted first and hands its answers out."""
        requests, future = self._submitted.popleft()
        answers = future.result()
        self.rows_run += len(requests)
        for index, request in enumerate(requests):
            row = self._row(request.query, answers, index)
            self._keep(request, row)
            self._settle(request, row)

    def abandon(self) -> None:
        """Drops what has not begun and waits until nothing runs any more."""
        self._painter.close()
        wait([future for _, future in self._submitted if not future.cancel()])
        self._submitted.clear()

    def _cut(self, lane: deque[Request]) -> tuple[list[Request], list[Composition]]:
        """Takes the rows of a batch from a lane, with what they show, and settles what is known."""
        requests: list[Request] = []
        rows: list[Composition] = []
        while lane and len(requests) < self.facts.batch_size:
            for coming in islice(lane, self.facts.batch_size + self.facts.cores):
                self._begin(coming)
            request = lane.popleft()
            row = self._begin(request)()
            if self._known is not None and request.name is None:
                request.name = drawn_key(request.query, row.drawn())
                if self._is_settled(request):
                    continue
            requests.append(request)
            rows.append(row)
        return requests, rows

    def _keep(self, request: Request, row: AnswerRow) -> None:
        """Hands an answer over to who keeps it, without the image that the query has itself."""
        if self._known is not None and request.name is not None:
            has_image = request.query.run.wrt == IMAGE
            kept = replace(row, activation=None) if has_image else row
            self._known.keep(request.name, request.place, kept)

    def _is_settled(self, request: Request) -> bool:
        """Hands out the answer of a request if it is known from elsewhere."""
        if self._known is None or request.name is None:
            return False
        row = self._known.find(request.name, request.place)
        if row is None:
            return False
        self.rows_known += request.name not in self._met
        self._met.add(request.name)
        self._settle(request, row)
        return True

    def _settle(self, request: Request, row: AnswerRow) -> None:
        """Hands an answer out to all who asked for it."""
        answer = self._answer(request.query, row)
        del self._open[request.key]
        if isinstance(answer, Prediction) and _is_small(answer):
            self._recent.put(request.key, answer)
        for answered in request.waiting:
            answered(answer)

    def _batch(self, requests: Sequence[Request], shown: list[Composition]) -> Batch:
        queries = [request.query for request in requests]
        run = queries[0].run
        rows = tuple(shown + shown[:1] * (self.facts.batch_size - len(shown)))
        return Batch(
            rows=rows if self.facts.composes else drawn(rows),
            masks=None if run.masking is None else self._padded(map(self._mask, queries)),
            output_gradients=None if run.wrt is None else self._padded(map(_weights, queries)),
            gates=None if run.gate is None else self._padded(map(_gate, queries)),
        )

    def _begin(self, request: Request) -> Callable[[], Composition]:
        """Gives what the row of a request shows."""
        if request.shown is None:
            request.shown = self._begun(request.query)
        return request.shown

    def _begun(self, query: Query) -> Callable[[], Composition]:
        """Gives what a row shows; begins to paint it where the operator tells no backdrop."""
        if not isinstance(query, MaskedView) or query.mask is None or query.removal is None:
            return lambda: Composition(query.image.draw())
        render = self._render(query, query.removal)
        if not isinstance(render, Backdrop):
            painted = self._painter.begin(render, query.mask)
            return lambda: Composition(painted())
        if render.behind is None:
            return partial(Composition, render.image)
        return partial(Composition, render.image, query.mask, render.behind)

    def _render(self, query: MaskedView, removal: RemovalOperator) -> Render:
        key = query.image.key, removal, query.seed
        render = self._renders.get(key)
        if render is None:
            rng = np.random.default_rng(query.seed)
            render = removal.bind(RemovalView(query.image.draw(), rng, query.substitutes))
            self._renders.put(key, render)
        return render

    def _mask(self, query: Query) -> Mask:
        if isinstance(query, MaskedView) and query.mask is not None:
            return query.mask
        return np.ones((self.facts.height, self.facts.width), np.bool_)

    def _padded(self, rows: Iterable[np.ndarray]) -> np.ndarray:
        found = list(rows)
        return np.stack(found + found[:1] * (self.facts.batch_size - len(found)))

    def _row(self, query: Query, answers: Answers, index: int) -> AnswerRow:
        """One row of a batch; copied, for a view would keep the whole batch alive."""
        if isinstance(query, MaskedView):
            coverage = None if answers.coverage is None else float(answers.coverage[index])
            features = {name: values[index].copy() for name, values in answers.features.items()}
            logits = self._checked(answers.logits)[index].copy()
            return AnswerRow(logits, coverage, features=features)
        if answers.activations is None or answers.gradients is None:
            raise InternalError(f"{self.facts.model} answered without the gradient that was asked")
        found = (answers.activations[index].copy(), answers.gradients[index].copy())
        return AnswerRow(answers.logits[index].copy(), None, *found)

    def _answer(self, query: Query, row: AnswerRow) -> Answer:
        if isinstance(query, MaskedView):
            coverage = 1.0 if row.coverage is None else row.coverage
            shares = probabilities(row.logits, self.facts.probabilities)
            return Prediction(row.logits, shares, coverage, row.features)
        if row.gradient is None:
            raise InternalError(f"{self.facts.model} answered without the gradient that was asked")
        activation = query.image.draw() if row.activation is None else row.activation
        if not np.isfinite(row.logits).all():
            return Gradient(activation, np.full_like(row.gradient, np.nan))
        return Gradient(activation, row.gradient)

    def _checked(self, logits: Logits) -> Logits:
        wanted = self.facts.batch_size, self.facts.classes
        if logits.shape != wanted:
            raise InternalError(
                f"{self.facts.model} answered with logits {logits.shape}, not {wanted}"
            )
        return logits


def probabilities(
    logits: Float32[np.ndarray, "classes"], kind: str
) -> Float64[np.ndarray, "classes"]:
    """Softmax or sigmoid in float64; all NaN if a logit is not finite."""
    if not np.isfinite(logits).all():
        return np.full(logits.shape, np.nan)
    wide = logits.astype(np.float64)
    if kind == "sigmoid":
        return np.asarray(scipy.special.expit(wide))
    shares = np.exp(wide - wide.max())
    return np.asarray(shares / shares.sum())


def _is_small(answer: Prediction) -> bool:
    return sum(values.nbytes for values in answer.features.values()) <= _REMEMBERED_FEATURES


def _simplest(query: Query) -> Query:
    """Where nothing is hidden nothing is removed: the plain model answers for all operators."""
    if isinstance(query, MaskedView) and query.mask is not None and query.mask.all():
        run = replace(query.run, masking=None)
        return replace(query, run=run, mask=None, removal=None)
    return query


def _key(query: Query) -> Hashable:
    own = query.run, query.image.key
    if not isinstance(query, MaskedView):
        return *own, query.output_gradient.tobytes()
    gate = b"" if query.gate is None else query.gate.tobytes()
    if query.mask is None:
        return *own, gate
    mask = hashlib.sha256(np.packbits(query.mask).data).digest()
    return *own, gate, query.removal, query.seed, mask


def _weights(query: Query) -> Float32[np.ndarray, "classes"]:
    if isinstance(query, MaskedView):
        raise InternalError("a masked view has no output gradient")
    return query.output_gradient


def _gate(query: Query) -> Float32[np.ndarray, "channels"]:
    if not isinstance(query, MaskedView) or query.gate is None:
        raise InternalError("a pass with a gate was asked without its factors")
    return query.gate
