"""The gate: an evaluation by a policy, and the server's verdict on it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, Unpack

from heatproof.client.clients.effects import Flow, Rpc, Unary, limit, work
from heatproof.client.clients.flows.datasets import AnnotationOptions, DatasetSource
from heatproof.client.clients.flows.evaluations import annotation_options, run
from heatproof.client.clients.flows.models import CallOptions, name_classes
from heatproof.client.clients.progress import OnProgress, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents import messages
from heatproof.client.documents.messages import AnyMessage
from heatproof.client.documents.model_files import ModelSource, ModelSources
from heatproof.client.documents.policies import (
    NO_PREPROCESSING,
    PolicySource,
    PreprocessingSource,
    read_policy,
    read_preprocessing,
)
from heatproof.client.documents.recordings import baseline_of, read_baseline
from heatproof.client.documents.results import GateReport, Report, UnjudgedError
from heatproof.client.documents.statements import StatementOptions, statement_options
from heatproof.client.documents.targets import TargetSource
from heatproof.client.errors import HeatproofError, UsageError
from heatproof.v1.evaluation_pb2 import EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationRequest, GateEvaluationRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.gate_pb2 import Baseline, Policy, PolicyModel, Verdict
from heatproof.v1.target_pb2 import Target

GATE: Final = Rpc(EvaluationServiceStub, "GateEvaluation")

BaselineSource: TypeAlias = ModelSource | Baseline
"""A baseline: the JSON report of an earlier gate, or a model to evaluate in the same run."""


class GateOptions(AnnotationOptions, StatementOptions, CallOptions, total=False):
    """Further options of a gate: what is known about the images and the class output, and overlays.

    Attributes:
        target: what is explained, stronger than the policy; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        keep_overlays: whether to draw every map over its image.
    """

    target: TargetSource
    class_names: Sequence[str]
    keep_overlays: bool


def gate(
    model: ModelSource,
    images: DatasetSource,
    *,
    policy: PolicySource,
    preprocessing: PreprocessingSource | None = None,
    baseline: BaselineSource | None = None,
    on_progress: OnProgress = ignore,
    **options: Unpack[GateOptions],
) -> Flow[GateReport]:
    """Evaluates a model by a policy and says whether it may ship.

    Args:
        model: the candidate: path of an .onnx file, its bytes, a name `models/...`, or a
            `torch.nn.Module`, with `example`.
        images: paths, folders, arrays, Pillow images or bytes, or the name of an uploaded set.
        policy: path of a TOML file, its table, or a message.
        preprocessing: how the model reads images; needed unless the policy says it, and stronger.
        baseline: what regressions are measured against: the JSON report of an earlier gate, or
            another model.
        on_progress: is called with how far it is.
        **options: labels, masks, maps, overlays, an example of what modules take, a timeout, and
            what is said of the class output, which is stronger than the policy; see `GateOptions`
            and `CallOptions`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it; a baseline of another spec is a
            `FailedPreconditionError` that lists the differing fields.
        UnjudgedError: it is evaluated, but no verdict could be made; has the report.
    """
    rival = _rival(baseline)
    models = (model,) if rival is None else (model, rival)
    sources = ModelSources(models, options.get("example"))
    yield from limit(options.get("timeout"))
    stated = messages.read(PolicyModel, statement_options(options))
    rules = yield from work(lambda: _rules(policy, preprocessing, stated, options))
    spec = _spec(rules, keep_overlays=options.get("keep_overlays", False))
    recorded = yield from work(lambda: _recorded(baseline))
    asked = CreateEvaluationRequest(spec=spec, policy=rules, recorded_baseline=_outline(recorded))
    report = yield from run(asked, sources, images, on_progress, annotation_options(options))
    name_classes(rules, report.models)
    try:
        verdict = yield from _verdict(report, rules, recorded, has_rival=rival is not None)
    except HeatproofError as error:
        raise UnjudgedError(report, error) from error
    return GateReport(
        report.evaluation,
        report.images,
        report.models,
        report.dataset,
        model=report.models[0].name,
        policy=rules,
        verdict=verdict,
    )


def _rules(
    policy: PolicySource,
    preprocessing: PreprocessingSource | None,
    stated: PolicyModel,
    options: GateOptions,
) -> Policy:
    """The policy with the preprocessing, the statement and the target that hold."""
    rules = read_policy(policy)
    if preprocessing is not None:
        rules.model.preprocessing.CopyFrom(read_preprocessing(preprocessing))
    if not rules.model.HasField("preprocessing"):
        raise UsageError(NO_PREPROCESSING)
    rules.model.MergeFrom(stated)
    if "target" in options:
        rules.target.CopyFrom(messages.read(Target, options["target"], "target"))
    if "class_names" in options:
        rules.model.class_names[:] = options["class_names"]
    return rules


def _spec(policy: Policy, *, keep_overlays: bool) -> EvaluationSpec:
    return EvaluationSpec(
        preprocessing=policy.model.preprocessing,
        output=policy.model.output,
        activation=policy.model.activation,
        metrics=_distinct(check.metric for check in policy.checks),
        explainers=policy.explainers,
        removals=policy.removals,
        target=policy.target if policy.HasField("target") else None,
        class_names=policy.model.class_names,
        seed=policy.seed,
        keep_overlays=keep_overlays,
    )


def _distinct(messages: Iterable[AnyMessage]) -> list[AnyMessage]:
    """Each message once, in the order of its first mention."""
    found: list[AnyMessage] = []
    for message in messages:
        if message not in found:
            found.append(message)
    return found


def _rival(source: BaselineSource | None) -> ModelSource | None:
    """The model that is evaluated in the same run; None if the baseline is recorded."""
    return None if isinstance(source, Baseline) or _is_report(source) else source


def _recorded(source: BaselineSource | None) -> Baseline | None:
    if isinstance(source, Baseline):
        return source
    if isinstance(source, str | os.PathLike) and _is_report(source):
        return read_baseline(Path(source))
    return None


def _is_report(source: object) -> bool:
    return isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".json"


def _outline(baseline: Baseline | None) -> Baseline | None:
    """What tells, before anything is computed, whether a baseline can be compared with."""
    if baseline is None:
        return None
    outline = Baseline(model=baseline.model)
    outline.evaluation.spec.CopyFrom(baseline.evaluation.spec)
    for result in baseline.image_results:
        held = outline.image_results.add(image=result.image, object_mask=result.object_mask)
        if result.HasField("labels"):
            held.labels.CopyFrom(result.labels)
        elif result.HasField("label"):
            held.label = result.label
    return outline


def _verdict(
    report: Report, policy: Policy, recorded: Baseline | None, *, has_rival: bool
) -> Flow[Verdict]:
    names = [model.name for model in report.models]
    request = GateEvaluationRequest(name=report.evaluation.name, model=names[0], policy=policy)
    if recorded is not None:
        request.recorded_baseline.CopyFrom(recorded)
    elif len(names) > 1:
        request.baseline_model = names[1]
    elif has_rival:
        # The baseline has the candidate's bytes, and a spec names a model once.
        request.recorded_baseline.CopyFrom(baseline_of(report, names[0]))
    verdict: Verdict = yield from patiently(Unary(GATE, request))
    return verdict
