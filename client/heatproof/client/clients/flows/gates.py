"""The gate: an evaluation by a policy, and the server's verdict on it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, Unpack, cast

from heatproof.client.clients.effects import Flow, Rpc, Unary, limit, work
from heatproof.client.clients.flows import following
from heatproof.client.clients.flows.baselines import pinned
from heatproof.client.clients.flows.datasets import AnnotationOptions, DatasetSource
from heatproof.client.clients.flows.evaluations import (
    Asked,
    CacheOptions,
    JudgeOptions,
    SampleOptions,
    annotation_options,
    evaluated,
    forecast,
    uploaded,
)
from heatproof.client.clients.flows.models import CallOptions, name_classes
from heatproof.client.clients.flows.running.budgets import checked_budget
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
from heatproof.client.documents.reading.baseline_names import baseline_reference
from heatproof.client.documents.recordings import baseline_of, read_baseline
from heatproof.client.documents.results import GateReport, Report, UnjudgedError
from heatproof.client.documents.results.estimates import GateEstimate
from heatproof.client.documents.statements import StatementOptions, statement_options
from heatproof.client.documents.targets import TargetSource
from heatproof.client.errors import HeatproofError, UsageError
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationRequest, GateEvaluationRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.gate_pb2 import Baseline, Policy, PolicyModel, Verdict
from heatproof.v1.target_pb2 import Target

GATE: Final = Rpc(EvaluationServiceStub, "GateEvaluation")

BaselineSource: TypeAlias = ModelSource | Baseline
"""A baseline: the JSON report of an earlier gate, a model to evaluate in the same run, or the name
of one that the server keeps, such as `main` or `baselines/main@3`."""


class GateOptions(
    AnnotationOptions,
    StatementOptions,
    CallOptions,
    JudgeOptions,
    SampleOptions,
    CacheOptions,
    total=False,
):
    """Further options of a gate: images, class output, who judges, how much, overlays.

    Attributes:
        target: what is explained, stronger than the policy; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        keep_overlays: whether to draw every map over its image.
    """

    target: TargetSource
    class_names: Sequence[str]
    keep_overlays: bool


class GateQuestion(GateOptions, total=False):
    """What is asked of a gate beside its policy: further keyword arguments of `gate`.

    Attributes:
        preprocessing: how the model reads images; needed unless the policy says it, and stronger.
        baseline: what regressions are measured against: the JSON report of an earlier gate,
            another model, or the name of a baseline of the server, such as `"main"`.
        on_progress: is called with how far it is.
    """

    preprocessing: PreprocessingSource | None
    baseline: BaselineSource | None
    on_progress: OnProgress


def gate(
    model: ModelSource,
    images: DatasetSource,
    *,
    policy: PolicySource,
    **question: Unpack[GateQuestion],
) -> Flow[GateReport]:
    """Evaluates a model by a policy and says whether it may ship.

    Args:
        model: the candidate: path of an .onnx file, its bytes, a name `models/sha256-...`, or a
            `torch.nn.Module`, with `example`.
        images: paths, folders, arrays, Pillow images or bytes, or the name of an uploaded set.
        policy: name of a preset, path of a TOML file, its table, or a message.
        **question: preprocessing, baseline, labels, masks, maps, overlays, who judges the maps, an
            example of what modules take, a timeout, and what is said of the class output, which is
            stronger than the policy; see `GateQuestion` and `CallOptions`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it; a baseline of another spec is a
            `FailedPreconditionError` that lists the differing fields.
        UnjudgedError: it is evaluated, but no verdict could be made; has the report.
    """
    asked = yield from _asked(model, policy, question)
    report = yield from evaluated((yield from uploaded(asked.evaluation, images)))
    name_classes(asked.rules, report.models)
    try:
        verdict = yield from _verdict(report, asked)
    except HeatproofError as error:
        raise UnjudgedError(report, error) from error
    return GateReport.of(report, report.models[0].name, asked.rules, verdict)


def estimate_gate(
    model: ModelSource,
    images: DatasetSource,
    *,
    policy: PolicySource,
    **question: Unpack[GateQuestion],
) -> Flow[GateEstimate]:
    """Says what a gate would score and cost; uploads what the server lacks, judges nothing.

    Whatever `gate` would refuse before it runs is refused. Where the server has not run the models
    yet, a few images are evaluated to know how long the gate would take.

    Args:
        model: as of `gate`.
        images: as of `gate`.
        policy: as of `gate`.
        **question: the further keyword arguments of `gate`; see `GateQuestion`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server would refuse it.
    """
    asked = yield from _asked(model, policy, question)
    prepared = yield from uploaded(asked.evaluation, images)
    evaluation = yield from forecast(prepared, tried=True)
    name_classes(asked.rules, evaluation.models)
    return GateEstimate(evaluation, asked.rules)


class StoredGateQuestion(StatementOptions, total=False):
    """What is asked of a gate on stored results beside its policy.

    Attributes:
        model: the candidate, `models/...`; may be left out where the evaluation has one model.
        preprocessing: how the model has read images; what the policy and this leave open is as it
            was evaluated.
        baseline: what regressions are measured against: the JSON report of an earlier gate, the
            name of a baseline of the server, or a model of the evaluation, `models/sha256-...`.
        target: what was explained, stronger than the policy.
        class_names: names of the classes by index, for a target that names some.
        timeout: most seconds, waiting included; None: the client's, or none.
    """

    model: str
    preprocessing: PreprocessingSource | None
    baseline: str | os.PathLike[str] | Baseline | None
    target: TargetSource
    class_names: Sequence[str]
    timeout: float | None


def gate_evaluation(
    evaluation: str | Report, *, policy: PolicySource, **question: Unpack[StoredGateQuestion]
) -> Flow[GateReport]:
    """Judges the stored results of an evaluation by a policy, as often as one likes; runs no model.

    Args:
        evaluation: the name `evaluations/...` of one that has succeeded, or its report.
        policy: as of `gate`.
        **question: model, baseline, and what else the policy leaves open; see
            `StoredGateQuestion`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it: a policy that asks for what was not scored is an
            `InvalidArgumentError`, one of another spec, like a baseline of one, a
            `FailedPreconditionError` that lists the differing fields.
    """
    yield from limit(question.get("timeout"))
    rules = yield from work(lambda: _rules(policy, cast("GateQuestion", question)))
    name = evaluation.evaluation.name if isinstance(evaluation, Report) else evaluation
    stored = yield from following.found(name)
    if rules.HasField("target"):
        name_classes(rules, (yield from following.models_of(stored)))
    request = GateEvaluationRequest(name=name, model=question.get("model", ""), policy=rules)
    yield from _hold_against(request, question.get("baseline"), stored)
    verdict: Verdict = yield from patiently(Unary(GATE, request))
    report = yield from following.result(name)
    return GateReport.of(report, request.model or report.models[0].name, rules, verdict)


def _hold_against(
    request: GateEvaluationRequest, baseline: BaselineSource | None, stored: Evaluation
) -> Flow[None]:
    """Adds to a request what the candidate is held against; nothing may have to be run for it."""
    named = yield from pinned(baseline)
    recorded = yield from work(lambda: _recorded(baseline))
    if named:
        request.named_baseline = named
    elif recorded is not None:
        request.recorded_baseline.CopyFrom(recorded)
    elif isinstance(baseline, str) and baseline in stored.spec.models:
        request.baseline_model = baseline
    elif baseline is not None:
        told = baseline if isinstance(baseline, str | os.PathLike) else "this model"
        raise UsageError(
            f"baseline {told} would have to be evaluated, and judging stored results runs nothing: "
            "give the JSON report of a gate, the name of a baseline of the server, or one of the "
            f"evaluation's models: {', '.join(stored.spec.models)}"
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a gate asks, before models and images are uploaded.

    Attributes:
        evaluation: what is evaluated.
        rules: the policy that holds.
        recorded: the baseline if it was evaluated before.
        named: the revision of the server's baseline, "" if it is none.
    """

    evaluation: Asked
    rules: Policy
    recorded: Baseline | None
    named: str


def _asked(model: ModelSource, policy: PolicySource, question: GateQuestion) -> Flow[_Asked]:
    baseline = question.get("baseline")
    rival = _rival(baseline)
    models = (model,) if rival is None else (model, rival)
    sources = ModelSources(models, question.get("example"), question.get("evaluator_model"))
    yield from limit(question.get("timeout"))
    units = question.get("units", 0)
    budget = checked_budget(question.get("budget"), units)
    rules = yield from work(lambda: _rules(policy, question))
    if not rules.model.HasField("preprocessing"):
        raise UsageError(NO_PREPROCESSING)
    spec = _spec(rules)
    spec.keep_overlays = question.get("keep_overlays", False)
    spec.no_cache = question.get("no_cache", False)
    spec.units = units
    recorded = yield from work(lambda: _recorded(baseline))
    named = yield from pinned(baseline)
    sent = recorded if rules.sequential else _outline(recorded)
    request = CreateEvaluationRequest(
        spec=spec, policy=rules, recorded_baseline=sent, named_baseline=named
    )
    known, on_progress = annotation_options(question), question.get("on_progress", ignore)
    return _Asked(Asked(request, sources, known, on_progress, budget), rules, recorded, named)


def _rules(policy: PolicySource, question: GateQuestion) -> Policy:
    """The policy with the preprocessing, the statement and the target that hold."""
    stated = messages.read(PolicyModel, statement_options(question))
    rules = read_policy(policy)
    preprocessing = question.get("preprocessing")
    if preprocessing is not None:
        rules.model.preprocessing.CopyFrom(read_preprocessing(preprocessing))
    rules.model.MergeFrom(stated)
    if "target" in question:
        rules.target.CopyFrom(messages.read(Target, question["target"], "target"))
    if "class_names" in question:
        rules.model.class_names[:] = question["class_names"]
    return rules


def _spec(policy: Policy) -> EvaluationSpec:
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
    )


def _distinct(messages: Iterable[AnyMessage]) -> list[AnyMessage]:
    """Each message once, in the order of its first mention."""
    found: list[AnyMessage] = []
    for message in messages:
        if message not in found:
            found.append(message)
    return found


def _rival(source: BaselineSource | None) -> ModelSource | None:
    """The model that is evaluated in the same run; None if the baseline was evaluated before."""
    if isinstance(source, Baseline) or _is_report(source) or baseline_reference(source):
        return None
    return source


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
    if baseline.evaluation.HasField("sequential"):
        outline.evaluation.sequential.CopyFrom(baseline.evaluation.sequential)
    for result in baseline.image_results:
        held = outline.image_results.add(
            image=result.image, object_mask=result.object_mask, group=result.group
        )
        if result.HasField("labels"):
            held.labels.CopyFrom(result.labels)
        elif result.HasField("label"):
            held.label = result.label
    return outline


def judged(report: Report, policy: PolicySource) -> Flow[GateReport]:
    """The verdict on the first model of an evaluation that has ended; its second is the baseline.

    Args:
        report: of the evaluation; scores what the policy asks for.
        policy: as of `gate`.

    Raises:
        ServiceError: the evaluation does not score what a check asks for.
    """
    rules = read_policy(policy)
    names = [model.name for model in report.models]
    request = GateEvaluationRequest(name=report.evaluation.name, model=names[0], policy=rules)
    if len(names) > 1:
        request.baseline_model = names[1]
    verdict: Verdict = yield from patiently(Unary(GATE, request))
    return GateReport.of(report, names[0], rules, verdict)


def _verdict(report: Report, asked: _Asked) -> Flow[Verdict]:
    names = [model.name for model in report.models]
    request = GateEvaluationRequest(name=report.evaluation.name, model=names[0], policy=asked.rules)
    if asked.named:
        request.named_baseline = asked.named
    elif asked.recorded is not None:
        request.recorded_baseline.CopyFrom(asked.recorded)
    elif len(names) > 1:
        request.baseline_model = names[1]
    elif len(asked.evaluation.models.models) > 1 and asked.rules.sequential:
        request.baseline_model = names[0]  # the baseline has the candidate's bytes
    elif len(asked.evaluation.models.models) > 1:
        # The baseline has the candidate's bytes, and a spec names a model once.
        request.recorded_baseline.CopyFrom(baseline_of(report, names[0]))
    verdict: Verdict = yield from patiently(Unary(GATE, request))
    return verdict
