"""Takes evaluations in: checks, counts and stores them."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.evaluation.engine import shards
from heatproof.evaluators.evaluation.plan import resolved_spec
from heatproof.evaluators.evaluation.results import Sampling
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.policy import Policy
from heatproof.evaluators.gate.sequential import checks_at_the_end
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.images.labels import LabelSet
from heatproof.server.evaluations.durations import expected_seconds
from heatproof.server.evaluations.environment import Environment
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.evaluations.gating.models import known_model
from heatproof.server.evaluations.runs.evaluation_run import RunContext
from heatproof.server.evaluations.runs.image_choice import ImageChoice
from heatproof.server.evaluations.scheduling import Scheduler
from heatproof.server.evaluations.store.records import NewEvaluation, StoredEvaluation
from heatproof.server.evaluations.store.rules import Rules
from heatproof.server.models.model_store import ModelStore
from heatproof.server.resource_names import BaselineReference, DatasetName, ModelName
from heatproof.server.workers.inputs import ModelFiles, StoredImage
from heatproof.server.workers.statistics_tasks import CheckedImage, CheckPolicy
from heatproof.server.workers.tasks import PlanEvaluation, PlannedWork

SpecCheck: TypeAlias = Callable[[EvaluationSpec], None]
"""Refuses a spec whose results could not be used for what they are wanted for."""


@dataclass(frozen=True, slots=True)
class EvaluationOffer:
    """What an evaluation would be.

    Attributes:
        new: the evaluation, ready to be stored.
        seconds: expected duration; None if this server has no experience with the models.
        planned: what it costs.
        sampling: what intervals and tests would resample.
        checks_at_the_end: checks of a sequential policy that need all units, and why, by their
            index; -1 is the clean accuracy.
    """

    new: NewEvaluation
    seconds: float | None
    planned: PlannedWork
    sampling: Sampling
    checks_at_the_end: Mapping[int, str] = field(default_factory=dict)


class Creation:
    """Checks and stores new evaluations."""

    def __init__(
        self,
        context: RunContext,
        scheduler: Scheduler,
        environment: Environment,
        baselines: Baselines,
    ) -> None:
        self._context = context
        self._scheduler = scheduler
        self._baselines = baselines
        self._environment = environment

    async def offer(
        self,
        spec: EvaluationSpec,
        request_id: str,
        rules: Rules | None = None,
        checks: Sequence[SpecCheck] = (),
    ) -> EvaluationOffer:
        """Checks an evaluation, and by what it will be judged, and counts what it computes.

        What a retry will be judged by has been checked by the first try: its baseline may be
        another one meanwhile, or gone.

        Args:
            spec: what is asked.
            request_id: makes a retry safe; "" without one.
            rules: by what it will be judged; None if it will not be.
            checks: of what will be asked of the results.

        Raises:
            InvalidArgumentError: the spec or the policy is wrong; names the field.
            FailedPreconditionError: the baseline was evaluated differently.
            NotFoundError: a model, the data set or the baseline is not stored.
            ConflictError: the request id has created an evaluation of another spec.
            UnsupportedOperatorError: a model cannot do what the spec needs.
        """
        key = _checked_request_id(request_id)
        with placed("spec"):
            images, inventory, sampling = await asyncio.to_thread(self._images, spec)
            models = await asyncio.to_thread(found_models, spec, self._context.models)
            spec = resolved_spec(spec, inventory)
            for check in checks:
                check(spec)
            plan = await self._context.workers.call(PlanEvaluation(spec, models, inventory))
        documents = self._context.documents
        written = documents.serialized_spec(spec)
        known = await asyncio.to_thread(self._context.store.requested, key, written)
        if rules is not None and known is None:
            await self._check_policy(rules, spec, images)
        policy = None if rules is None else documents.read_policy(rules.policy)
        is_sequential = policy is not None and policy.sequential
        seconds = await asyncio.to_thread(self._seconds, spec, len(images), plan.predictions)
        new = NewEvaluation(
            spec=written,
            models=spec.run_models,
            dataset=spec.dataset,
            request_id=key,
            images=inventory.images,
            predictions=plan.predictions,
            environment=documents.serialized_environment(await self._environment.describe())
            + documents.serialized_units_left_out(sampling.units_left_out)
            + plan.model_facts,
            rules=rules.document if rules is not None and is_sequential else b"",
        )
        at_the_end = _at_the_end(policy, images) if policy is not None and is_sequential else {}
        return EvaluationOffer(new, seconds, plan, sampling, at_the_end)

    async def create(self, offer: EvaluationOffer) -> StoredEvaluation:
        """Stores an evaluation and takes it into work; a retry finds the stored one.

        Raises:
            ConflictError: the request id has created an evaluation of another spec.
            NotFoundError: a model or the data set has gone meanwhile.
            OverloadedError: too many evaluations have not ended.
        """
        stored = await asyncio.to_thread(self._context.store.add, offer.new)
        self._scheduler.submit(stored)
        return stored

    async def _check_policy(
        self, rules: Rules, spec: EvaluationSpec, images: Sequence[StoredImage]
    ) -> None:
        """Has a worker check a policy with what it is held against."""
        if isinstance(rules.baseline, str):
            known_model(rules.baseline, spec.models, field="baseline_model")
        await self._context.workers.call(await self._checking(rules, spec, images))

    async def _checking(
        self, rules: Rules, spec: EvaluationSpec, images: Sequence[StoredImage]
    ) -> CheckPolicy:
        known = tuple(
            CheckedImage(image.digest, image.label, image.object_mask, image.boxes, image.group)
            for image in images
        )
        written = self._context.documents.serialized_spec(spec)
        if isinstance(rules.baseline, str):  # of the same evaluation, so it is comparable
            return CheckPolicy(rules.policy, written, known, None)
        if not isinstance(rules.baseline, BaselineReference):
            return CheckPolicy(rules.policy, written, known, rules.baseline)
        with placed("named_baseline"):
            held = await self._baselines.tabulated(rules.baseline)
        return CheckPolicy(rules.policy, written, known, held)

    def _seconds(self, spec: EvaluationSpec, images: int, predictions: int) -> float | None:
        """How long it will take; None if this server has no experience with the models."""
        context = self._context
        known = context.store.experiences(spec.run_models)
        read = context.documents.read_spec
        seconds = expected_seconds(spec, images, predictions, known, read)
        beside = min(context.parallel_shards, len(shards(images)))
        return None if seconds is None else seconds / beside

    def _images(self, spec: EvaluationSpec) -> tuple[tuple[StoredImage, ...], Inventory, Sampling]:
        """The images that are evaluated, what comes with those of the set, and their units.

        What a spec may ask, and parameters that are left to the images, follow from the whole set:
        a few of its units are asked what all of them would be.
        """
        if not spec.dataset:
            raise InvalidArgumentError(
                "dataset is required; upload one with UploadDataset, or call Evaluate with images",
                field="dataset",
            )
        name = DatasetName.parse(spec.dataset, field="dataset")
        self._context.datasets.get(name, field="dataset")
        images = tuple(self._context.datasets.all_images(name))
        choice = ImageChoice.of(images, spec)
        chosen = tuple(images[place] for place in choice.positions)
        inventory = Inventory.of(image.known for image in images)
        return chosen, replace(inventory, images=len(chosen)), choice.sampling


def found_models(spec: EvaluationSpec, store: ModelStore) -> tuple[ModelFiles, ...]:
    """The files of the models of a spec, in its order.

    Raises:
        NotFoundError: one is not stored; names the field.
    """
    fields = [(f"models[{index}]", name) for index, name in enumerate(spec.models)]
    if spec.evaluator_model and spec.evaluator_model not in spec.models:
        fields.append(("evaluator_model", spec.evaluator_model))
    return tuple(store.files(ModelName.parse(name, field=at), field=at) for at, name in fields)


def _at_the_end(policy: Policy, images: Sequence[StoredImage]) -> Mapping[int, str]:
    multi_label = any(isinstance(image.label, LabelSet) for image in images)
    return checks_at_the_end(policy, multi_label=multi_label)


def _checked_request_id(request_id: str) -> str | None:
    if not request_id:
        return None
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        raise InvalidArgumentError(
            f"request_id {request_id!r} is no UUID; draw one, or leave it empty",
            field="request_id",
        ) from None
