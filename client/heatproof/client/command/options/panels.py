"""The models of a comparison, as the server knows them, under names for people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal, Self, TypeAlias

from heatproof.client.clients.progress import OnProgress
from heatproof.client.clients.synchronous import Client
from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.model_files import PREFIX
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.errors import HeatproofError, UsageError
from heatproof.v1.model_pb2 import Model

Kind: TypeAlias = Literal["metrics", "explainers", "removals"]
"""Fields of `Usability`."""

FEWEST: Final = 2
"""Models that can be compared."""


EXPLAINERS: Final = ("grad_cam", "rise", "occlusion")
"""The first that every model allows explains if nothing else is said."""

REMOVALS: Final = ("layer", "blur")
"""The first that every model allows hides regions if nothing else is said."""

LAYER_CELL: Final = 16
"""Pixels a side from which layer masking can hide a cell of a metric."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Models that are compared.

    Attributes:
        models: the models; `display_name` is that of the file, unique among them.
        sources: what was given for each.
        evaluator: the model that judges the maps of all, if it is not each its own.
    """

    models: tuple[Model, ...]
    sources: tuple[str, ...]
    evaluator: Model | None = None

    @classmethod
    def of(
        cls,
        client: Client,
        sources: Sequence[str],
        stated: StatementOptions,
        on_progress: OnProgress,
        evaluator: str | None = None,
    ) -> Self:
        """Uploads the models that the server lacks.

        Raises:
            UsageError: two files have equal bytes, or what `Client.inspect` raises.
        """
        found = []
        for source in sources:
            with _told_of(source):
                found.append(client.inspect(source, on_progress=on_progress, **stated))
        names = _names(sources, found)
        models = tuple(_named(model, name) for model, name in zip(found, names, strict=True))
        _require_different(models)
        judge = None
        if evaluator is not None:
            with _told_of(evaluator):
                judge = client.inspect(evaluator, on_progress=on_progress, **stated)
        return cls(models, tuple(sources), judge)

    @property
    def names(self) -> list[str]:
        """The names `models/sha256-...`."""
        return [model.name for model in self.models]

    @property
    def smallest_side(self) -> int:
        """The smallest height or width of an image input; 0 where a model has none."""
        return min(side for one in self.models for side in (one.facts.height, one.facts.width))

    def resolved(self, source: str) -> str:
        """The name `models/sha256-...` of one of the models, given as its file or by its name.

        Raises:
            UsageError: it is none of them.
        """
        for given, model in zip(self.sources, self.models, strict=True):
            is_name = source in {given, model.name, model.display_name}
            if is_name or Path(source).resolve() == Path(given).resolve():
                return model.name
        among = ", ".join(model.display_name for model in self.models)
        raise UsageError(f"reference {source} is none of the models that are compared: {among}")

    def obstacle(self, kind: Kind, name: str) -> str | None:
        """Why a model does not allow a choice; None if all do.

        Regions are hidden from the evaluator too.
        """
        judges = [self.evaluator] if self.evaluator and kind == "removals" else []
        for model in (*self.models, *judges):
            for use in getattr(model.usability, kind):
                if use.name == name and not use.usable:
                    return f"{model.display_name}: {use.reason}"
        return None

    def differing_sizes(self) -> str | None:
        """How the input sizes of two models differ; None if those that are fixed do not."""
        sizes = {
            (one.facts.width, one.facts.height): one.display_name
            for one in reversed(self.models)
            if not one.facts.probed
        }
        if len(sizes) < FEWEST:
            return None
        *_, (other, second), (own, first) = sizes.items()
        return (
            f"{first} reads {own[0]} x {own[1]} pixels and {second} {other[0]} x {other[1]}: it "
            "compares models of one input size, or needs object masks (--masks)"
        )

    def first(self, kind: Kind, names: Sequence[str]) -> str:
        """The first choice that every model allows, else the last."""
        return next((name for name in names if self.obstacle(kind, name) is None), names[-1])

    def usual_explainer(self) -> str:
        """The first of `EXPLAINERS` that every model allows."""
        return self.first("explainers", EXPLAINERS)

    def usual_removal(self, cells: int) -> str:
        """The first of `REMOVALS` that every model and the size of images allow.

        Args:
            cells: how many the metrics' grids have a side.
        """
        fits = self.smallest_side >= cells * LAYER_CELL
        return self.first("removals", REMOVALS if fits else REMOVALS[1:])

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Lets errors of the server speak of the models by their files."""
        captions = Captions.of(self.models, ())
        try:
            yield
        except HeatproofError as error:
            error.args = (captions.spoken(str(error)), *error.args[1:])
            raise


@contextmanager
def _told_of(source: str) -> Iterator[None]:
    """Lets errors say which of the models they are of."""
    try:
        yield
    except HeatproofError as error:
        if source not in str(error):
            error.args = (f"{source}: {error}", *error.args[1:])
        raise


def require_several(sources: Sequence[str]) -> None:
    """Makes sure that there is something to compare.

    Raises:
        UsageError: fewer than two models were given.
    """
    if len(sources) < FEWEST:
        raise UsageError(
            f"only {', '.join(sources)} was given: name at least {FEWEST} models to compare"
        )


def _require_different(models: Sequence[Model]) -> None:
    """Refuses equal bytes, which a spec names once.

    Raises:
        UsageError: two models have them.
    """
    seen: dict[str, str] = {}
    for model in models:
        if model.name in seen:
            raise UsageError(
                f"{seen[model.name]} and {model.display_name} have equal bytes, so that there is "
                "nothing to compare: leave one of them out"
            )
        seen[model.name] = model.display_name


def _names(sources: Sequence[str], models: Sequence[Model]) -> list[str]:
    """Names of files, with as many of their folders as tell them apart."""
    paths = [
        (model.display_name or short_digest(model.name),)
        if source.startswith(PREFIX)
        else PurePath(source).parts
        for source, model in zip(sources, models, strict=True)
    ]
    return [_tail(own, [*paths[:place], *paths[place + 1 :]]) for place, own in enumerate(paths)]


def _tail(own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """The shortest end of a path that no other path has."""
    for length in range(1, len(own)):
        if all(other[-length:] != own[-length:] for other in others):
            return str(PurePath(*own[-length:]))
    return str(PurePath(*own))


def _named(model: Model, name: str) -> Model:
    """The model under the name of its file; its first uploader may have called it otherwise."""
    named = Model()
    named.CopyFrom(model)
    named.display_name = name
    return named
