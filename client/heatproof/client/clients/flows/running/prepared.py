"""Evaluations whose models and images are on the server: created, forecast, followed."""

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from heatproof.client.clients.effects import Flow, Rpc, Unary
from heatproof.client.clients.flows.following import CANCEL, ended, require_success
from heatproof.client.clients.progress import OnProgress
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.errors import (
    ConnectionLostError,
    EvaluationInterrupted,
    HeatproofError,
    PartialAnnotationsWarning,
    UnavailableError,
)
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.evaluation_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    CreateEvaluationResponse,
)
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.model_pb2 import Model

CREATE: Final = Rpc(EvaluationServiceStub, "CreateEvaluation")

READ_AS: Final[Mapping[str, str]] = MappingProxyType(
    {"masks": "objects", "boxes": "boxes", "replacements": "replacement"}
)
"""What kinds of annotations are called among what an evaluation reads."""

UNREAD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "masks": "none of the metrics reads the object masks: name one that needs objects "
        "(`heatproof metrics` lists them; explanation_consistency does but with background map or "
        "shared), or leave the masks out",
        "boxes": "nothing splits images by their boxes: choose boxes as the regions of a metric or "
        "explainer, such as segment_removal:regions.boxes.side=8, or leave the boxes out",
        "replacements": "nothing shows the replacements: choose the removal operator replacement, "
        "or leave them out",
    }
)
"""What is said where one of them is not read."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An evaluation whose models and images are on the server.

    Attributes:
        request: asks for it.
        models: its models, in their order.
        images: its data set.
        given: kinds of annotations that came with the images.
        on_progress: is called with how far it is.
        budget: seconds within which it should end; None: whatever it takes.
    """

    request: CreateEvaluationRequest
    models: tuple[Model, ...]
    images: Dataset
    given: frozenset[str]
    on_progress: OnProgress
    budget: float | None = None


def created(prepared: Prepared) -> Flow[CreateEvaluationResponse]:
    """Has it taken in, and warns of annotations that nothing reads."""
    return (yield from _replied(prepared, prepared.request))


def counted(prepared: Prepared) -> Flow[EvaluationEstimate]:
    """What it would score and cost, by what the server knows; nothing is run."""
    request = CreateEvaluationRequest()
    request.CopyFrom(prepared.request)
    request.validate_only = True
    return EvaluationEstimate.of((yield from _replied(prepared, request)), prepared.models)


def _replied(
    prepared: Prepared, request: CreateEvaluationRequest
) -> Flow[CreateEvaluationResponse]:
    reply: CreateEvaluationResponse = yield from patiently(Unary(CREATE, request))
    for kind, name in READ_AS.items():
        if kind in prepared.given and name not in reply.reads:
            warnings.warn(UNREAD[kind], PartialAnnotationsWarning, stacklevel=2)
    return reply


def followed(prepared: Prepared) -> Flow[Evaluation]:
    """Runs it and waits for its end; it is cancelled when nobody waits any more.

    Raises:
        EvaluationFailedError: the server could not finish it.
    """
    reply = yield from created(prepared)
    name = reply.evaluation.name
    try:
        evaluation = yield from ended(name, prepared.on_progress)
    except GeneratorExit:
        raise
    except UnavailableError as error:
        raise ConnectionLostError(error.status, evaluation=name) from error
    except BaseException as error:
        # Nobody waits any more: neither after an interrupt nor after an error of `on_progress`.
        with contextlib.suppress(HeatproofError):
            yield Unary(CANCEL, CancelEvaluationRequest(name=name))
        if isinstance(error, KeyboardInterrupt):
            raise EvaluationInterrupted(name) from None
        raise
    require_success(evaluation)
    return evaluation
