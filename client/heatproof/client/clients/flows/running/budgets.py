"""How much of a data set is evaluated within a time, and how long all of it would take."""

import time
import uuid
from dataclasses import replace
from typing import Final

from heatproof.client.clients.effects import Flow, work
from heatproof.client.clients.flows.following import deleted
from heatproof.client.clients.flows.running.prepared import Prepared, counted, followed
from heatproof.client.clients.progress import OnProgress, Progress, Stage
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.errors import UsageError
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationRequest

TRIED_UNITS: Final = 2
"""Units that are evaluated to know what one costs: enough to fill batches."""


def checked_budget(budget: float | None, units: int) -> float | None:
    """The budget, if it makes sense.

    Raises:
        UsageError: it is no length of time, or the number of units is given as well.
    """
    if budget is None:
        return None
    if units:
        raise UsageError("units and budget exclude each other: a budget chooses the units")
    if not 0 < budget < float("inf"):
        raise UsageError(f"the budget must be a number of seconds above 0, not {budget:g}")
    return budget


def fit_budget(prepared: Prepared) -> Flow[None]:
    """Sets the number of units to what fits into the budget; does nothing without one.

    The time of a trial counts. Scores decide nothing, so the choice biases none of them; what was
    tried is evaluated in any case.
    """
    if prepared.budget is None:
        return
    started = yield from work(time.monotonic)
    estimate = yield from timed(replace(prepared, given=frozenset()))
    spent = (yield from work(time.monotonic)) - started
    units = _affordable(estimate, prepared.budget - spent)
    if units < estimate.sampling.units:
        prepared.request.spec.units = units


def _affordable(estimate: EvaluationEstimate, seconds: float) -> int:
    """How many of the units fit into a time, at least those of a trial."""
    units = estimate.sampling.units
    if not estimate.seconds:
        return units
    return max(TRIED_UNITS, int(units * seconds / estimate.seconds))


def timed(prepared: Prepared) -> Flow[EvaluationEstimate]:
    """What an evaluation would cost, with the time that it takes.

    Where the server has not run the models yet, a few units are evaluated to know it, and their
    evaluation is deleted.
    """
    estimate = yield from counted(prepared)
    if estimate.seconds is not None:
        return estimate
    trial = yield from followed(_trial(prepared))
    estimate = yield from counted(prepared)
    yield from deleted(trial.name)
    return replace(estimate, tried_units=trial.sampling.units)


def _trial(prepared: Prepared) -> Prepared:
    """The same of a few units, without what is not needed to time it; nothing of it is known."""
    request = CreateEvaluationRequest(spec=prepared.request.spec, request_id=str(uuid.uuid4()))
    request.spec.units = TRIED_UNITS
    request.spec.keep_overlays = False
    request.spec.no_cache = True  # answers that are known already would tell nothing
    return replace(
        prepared, request=request, given=frozenset(), on_progress=_as_trial(prepared.on_progress)
    )


def _as_trial(on_progress: OnProgress) -> OnProgress:
    def told(progress: Progress) -> None:
        is_run = progress.stage is Stage.EVALUATE
        on_progress(replace(progress, stage=Stage.TRY) if is_run else progress)

    return told
