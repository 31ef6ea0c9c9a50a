"""Every public name of the Python client; `heatproof.client` hands them out."""

from heatproof.client.clients.asynchronous import AsyncClient
from heatproof.client.clients.connections.addresses import Tls
from heatproof.client.clients.flows.explanations import ExplainedImage
from heatproof.client.clients.handles import AsyncEvaluationHandle, EvaluationHandle
from heatproof.client.clients.progress import Progress, Stage
from heatproof.client.clients.synchronous import Client
from heatproof.client.documents.annotations import AnnotationSources
from heatproof.client.documents.labelled_images import LabelledImages
from heatproof.client.documents.results import (
    ConsistencyWeights,
    GateReport,
    MetricReliabilities,
    ModelComparisons,
    Report,
    UnjudgedError,
)
from heatproof.client.documents.results.estimates import EvaluationEstimate, GateEstimate
from heatproof.client.documents.results.inputs import ModelInputs
from heatproof.client.errors import (
    AddressError,
    ConflictError,
    ConnectionLostError,
    DataLossError,
    DeadlineExceededError,
    EvaluationCancelledError,
    EvaluationFailedError,
    EvaluationInterrupted,
    FailedPreconditionError,
    FieldViolation,
    HeatproofError,
    InternalError,
    InvalidArgumentError,
    MissingExtraError,
    NotFoundError,
    PartialAnnotationsWarning,
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
from heatproof.v1.baseline_pb2 import BaselineRevision, NamedBaseline
from heatproof.v1.catalog_service_pb2 import Catalog, ServerInfo
from heatproof.v1.comparison_pb2 import ComparedModel, ModelComparison, ModelDifference
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.gate_pb2 import Baseline, Policy
from heatproof.v1.image_pb2 import Image
from heatproof.v1.metrics_pb2 import Metric
from heatproof.v1.model_pb2 import Model
from heatproof.v1.model_service_pb2 import Gradient, LayerMasking
from heatproof.v1.preprocessing_pb2 import Preprocessing
from heatproof.v1.removal_operators_pb2 import RemovalOperator
from heatproof.v1.results_pb2 import ConsistencyWeight
from heatproof.v1.target_pb2 import Target

__all__ = [
    "AddressError",
    "AnnotationSources",
    "AsyncClient",
    "AsyncEvaluationHandle",
    "Baseline",
    "BaselineRevision",
    "Catalog",
    "Client",
    "ComparedModel",
    "ConflictError",
    "ConnectionLostError",
    "ConsistencyWeight",
    "ConsistencyWeights",
    "DataLossError",
    "Dataset",
    "DeadlineExceededError",
    "Evaluation",
    "EvaluationCancelledError",
    "EvaluationEstimate",
    "EvaluationFailedError",
    "EvaluationHandle",
    "EvaluationInterrupted",
    "ExplainedImage",
    "Explainer",
    "FailedPreconditionError",
    "FieldViolation",
    "GateEstimate",
    "GateReport",
    "Gradient",
    "HeatproofError",
    "Image",
    "InternalError",
    "InvalidArgumentError",
    "LabelledImages",
    "LayerMasking",
    "Metric",
    "MetricReliabilities",
    "MissingExtraError",
    "Model",
    "ModelComparison",
    "ModelComparisons",
    "ModelDifference",
    "ModelInputs",
    "NamedBaseline",
    "NotFoundError",
    "PartialAnnotationsWarning",
    "PermissionDeniedError",
    "Policy",
    "PolicyError",
    "Preprocessing",
    "Progress",
    "RemovalOperator",
    "Report",
    "ResourceExhaustedError",
    "ServerInfo",
    "ServerNotInstalledError",
    "ServerStartError",
    "ServiceError",
    "Stage",
    "Status",
    "Target",
    "Tls",
    "UnavailableError",
    "UnjudgedError",
    "UsageError",
]
