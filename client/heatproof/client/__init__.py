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

from heatproof.client.addresses import Tls
from heatproof.client.annotations import AnnotationSources, PartialAnnotationsWarning
from heatproof.client.asynchronous import AsyncClient
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
from heatproof.client.flows.explanations import ExplainedImage
from heatproof.client.progress import Progress, Stage
from heatproof.client.results import GateReport, Report, UnjudgedError
from heatproof.client.synchronous import Client

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
