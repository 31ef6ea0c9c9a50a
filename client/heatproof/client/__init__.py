"""The thin client: the Python SDK and the `heatproof` command.

from heatproof.client import Client

with Client.embedded() as client:
    report = client.evaluate(
        "model.onnx",
        "images/",
        preprocessing="imagenet",
        metrics=["deletion"],
        explainers=["grad_cam"],
        removals=["layer"],
    )
print(report.to_pandas())
"""

from heatproof.client.clients.addresses import Tls
from heatproof.client.clients.asynchronous import AsyncClient
from heatproof.client.clients.flows.explanations import ExplainedImage
from heatproof.client.clients.progress import Progress, Stage
from heatproof.client.clients.synchronous import Client
from heatproof.client.documents.annotations import AnnotationSources, PartialAnnotationsWarning
from heatproof.client.documents.results import GateReport, Report, UnjudgedError
from heatproof.client.errors import (
    ConflictError,
    DataLossError,
    DeadlineExceededError,
    EvaluationCancelledError,
    EvaluationFailedError,
    FailedPreconditionError,
    FieldViolation,
    HeatproofError,
    InternalError,
    InvalidArgumentError,
    MissingExtraError,
    NotFoundError,
    PermissionDeniedError,
    PolicyError,
    ResourceExhaustedError,
    ServerNotInstalledError,
    ServerStartError,
    ServiceError,
    Status,
    UnavailableError,
    UsageError,
)

__all__ = [
    "AnnotationSources",
    "AsyncClient",
    "Client",
    "ConflictError",
    "DataLossError",
    "DeadlineExceededError",
    "EvaluationCancelledError",
    "EvaluationFailedError",
    "ExplainedImage",
    "FailedPreconditionError",
    "FieldViolation",
    "GateReport",
    "HeatproofError",
    "InternalError",
    "InvalidArgumentError",
    "MissingExtraError",
    "NotFoundError",
    "PartialAnnotationsWarning",
    "PermissionDeniedError",
    "PolicyError",
    "Progress",
    "Report",
    "ResourceExhaustedError",
    "ServerNotInstalledError",
    "ServerStartError",
    "ServiceError",
    "Stage",
    "Status",
    "Tls",
    "UnavailableError",
    "UnjudgedError",
    "UsageError",
]
