"""Evaluations that have succeeded, for baselines to be set to."""

from heatproof.server.evaluations.store.baseline_store import BaselineChange
from heatproof.server.evaluations.store.records import Ending, State, StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from tests.server.world import World


def ended(world: World, *, seed: int = 0, state: State = State.SUCCEEDED) -> StoredEvaluation:
    """An evaluation of two images that has ended."""
    store = world.stores.evaluations
    stored = store.add(world.new(2, seed=seed))
    store.end(stored, Ending(state, b""))
    return store.get(EvaluationName.parse(stored.name))


def change_to(world: World, stored: StoredEvaluation, note: str = "") -> BaselineChange:
    """What sets a baseline to an evaluation."""
    return BaselineChange(
        number=stored.number, evaluation=stored.name, model=world.model, note=note
    )
