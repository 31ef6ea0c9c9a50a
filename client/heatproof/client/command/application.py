"""Where subcommands come together and every end gets its exit code."""

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from heatproof.client.command.output.console import complain, note, out
from heatproof.client.command.subcommands import SUBCOMMANDS, Listed
from heatproof.client.errors import HeatproofError, PartialAnnotationsWarning
from heatproof.client.version import __version__

ERROR: Final = 2
"""Exit code of every end that is neither success nor a verdict nor an interrupt."""

INTERRUPTED: Final = 130
"""Exit code after SIGINT."""


class Commands(TyperGroup):
    """The subcommands; an interrupt of one is told with all that it has to say."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  # what typer passes
        super().__init__(**settings)
        for subcommand in SUBCOMMANDS:
            self.add_command(Listed(subcommand))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # what typer passes, and what a subcommand returns
        """Invokes a subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # typer would end without a word
            complain("\n".join(("interrupted", *getattr(error, "__notes__", ()))))
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=Commands,
    name="heatproof",
    help="Proves heat maps: tells whether the explanations of a CNN can be trusted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(*, asked: bool) -> None:
    if asked:
        out.print(f"heatproof {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[  # its callback has shown it
        bool,
        typer.Option(
            "--version",
            callback=lambda asked: _show_version(asked=asked),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Proves heat maps: tells whether the explanations of a CNN can be trusted."""


def main() -> NoReturn:
    """Runs the command and exits: 0, 1 only by a verdict, 130 on an interrupt, else 2."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    try:
        with _warnings_noted():
            code = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except HeatproofError as error:
        complain("\n".join((str(error), *getattr(error, "__notes__", ()))))
        return ERROR
    except SystemExit as end:
        # A shell has asked how a word goes on; else a closed pipe: whoever reads has gone.
        return ERROR if end.code else 0
    except Exception as error:  # noqa: BLE001  # exit code 1 belongs to verdicts
        _complain_of(error)
        return ERROR
    return code if isinstance(code, int) else 0


@contextmanager
def _warnings_noted() -> Iterator[None]:
    """Says warnings of the client as notes, without the lines of code that they come from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", PartialAnnotationsWarning)
        usual = warnings.showwarning

        def shown(message: Warning | str, category: type[Warning], *place: Any) -> None:  # noqa: ANN401  # of the hook that is replaced
            if issubclass(category, PartialAnnotationsWarning):
                note(f"note: {message}")
            else:
                usual(message, category, *place)

        warnings.showwarning = shown  # type: ignore[assignment]  # hands its arguments on
        yield


def _complain_of(error: Exception) -> None:
    """Shows a wrong command line as such, anything else as a fault of ours."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return
    traceback.print_exception(error)
    complain("this is a fault of heatproof itself; please report it with the lines above")
