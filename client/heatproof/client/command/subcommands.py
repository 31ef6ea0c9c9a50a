"""Which subcommands there are; the module of one is loaded when it runs or tells its options."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand.

    Attributes:
        name: what users write.
        place: the module below `heatproof.client.command`, and in it the function or the
            application.
        summary: first line of its help, told without loading it.
        passes_on: whether it hands its options on, `--help` among them.
    """

    name: str
    place: str
    summary: str
    passes_on: bool = False

    def loaded(self) -> Any:  # noqa: ANN401  # a command of the click that typer keeps to itself
        """Its command, which knows its options."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"{__package__}.{module}"), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        if self.passes_on:
            context = {"allow_extra_args": True, "ignore_unknown_options": True}
            alone.command(self.name, context_settings=context, add_help_option=False)(found)
        else:
            alone.command(self.name)(found)
        return typer.main.get_command(alone)


class Listed(TyperCommand):
    """A subcommand as the list of all shows it, and the way to the real one."""

    def __init__(self, subcommand: Subcommand) -> None:
        super().__init__(subcommand.name, help=subcommand.summary)
        self._subcommand = subcommand

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # as `loaded`
        """The context of the real subcommand: whoever runs or completes it goes on with that."""
        return self._subcommand.loaded().make_context(*args, **options)


SUBCOMMANDS: Final = (
    Subcommand(
        "init", "init:init",
        "Write the first policy of a model, with bounds calibrated on its images.",
    ),
    Subcommand(
        "gate", "evaluations.gate:gate",
        "Evaluate a model by a policy and say whether it may ship.",
    ),
    Subcommand(
        "evaluate", "evaluations.evaluate:evaluate",
        "Score the explanations of one or more models.",
    ),
    Subcommand(
        "compare", "evaluations.compare:compare",
        "Compare the explanations of models, with paired intervals and corrected tests.",
    ),
    Subcommand(
        "sanity", "evaluations.sanity:sanity",
        "Say which scores deserve trust on a model and its images.",
    ),
    Subcommand(
        "explain", "explain:explain",
        "Compute attribution maps: an NPY file and a PNG overlay for each image and explainer.",
    ),
    Subcommand(
        "consistency-weights", "evaluations.consistency_weights:consistency_weights",
        "Weigh training images by how little their explanations hold under a background attack.",
    ),
    Subcommand(
        "inspect", "inspect:inspect",
        "Show what a model holds, and which explainers, metrics and removal operators it allows.",
    ),
    Subcommand(
        "rewrite", "rewrite:rewrite",
        "Write a model that hides parts of the image inside itself, or that computes gradients.",
    ),
    Subcommand(
        "metrics", "metrics:metrics",
        "List metrics, explainers and removal operators with their parameters and references.",
    ),
    Subcommand(
        "serve", "serve:serve",
        "Start a server; its own options follow, see `heatproof serve --help`.",
        passes_on=True,
    ),
    Subcommand(
        "ci", "ci:app",
        "Keep one comment on a change, and fetch the baseline that a branch keeps as an artifact.",
    ),
    Subcommand(
        "evaluations", "evaluations.stored:app",
        "List, show, watch, cancel and delete the evaluations of a server.",
    ),
    Subcommand(
        "baselines", "baselines:app", "List, show, set and delete the baselines of a server."
    ),
    Subcommand("models", "models:app", "List and delete the models of a server."),
    Subcommand("datasets", "datasets:app", "List and delete the data sets of a server."),
)  # fmt: skip
"""In the order of the help."""
