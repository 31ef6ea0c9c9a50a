"""Questions on a terminal, for what no option has said."""

import sys
from dataclasses import dataclass
from typing import Final

import typer

from heatproof.client.errors import UsageError

NONE: Final = "none"
"""The answer that leaves something out."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Asks people, and nobody else.

    Attributes:
        interactive: whether somebody can answer.
    """

    interactive: bool

    @classmethod
    def of_terminal(cls, *, silent: bool) -> "Prompts":
        """Asks if there is a terminal to ask on.

        Args:
            silent: whether not to ask even then.
        """
        return cls(interactive=sys.stdin.isatty() and not silent)

    def required(self, given: str | None, question: str, option: str) -> str:
        """What was given, else what somebody answers; there is no default.

        Raises:
            UsageError: nothing was given, and nobody can be asked; names the option.
        """
        if given is not None:
            return given
        if not self.interactive:
            raise UsageError(f"{option} is missing: {question} Nobody can be asked here.")
        answer: str = typer.prompt(question, err=True)
        return answer

    def optional(self, given: str | None, question: str) -> str | None:
        """What was given, else what somebody answers; None where nobody does."""
        if given is not None or not self.interactive:
            return given
        answer: str = typer.prompt(question, default=NONE, err=True)
        return None if answer == NONE else answer

    def agreed(self, question: str) -> bool:
        """Whether somebody agrees; nobody disagrees."""
        return not self.interactive or typer.confirm(question, default=True, err=True)
