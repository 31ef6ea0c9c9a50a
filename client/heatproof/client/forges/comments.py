"""One comment on a change, kept up to date however often its gate runs."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from heatproof.client.errors import ForgeError, UsageError
from heatproof.client.forges.fitting import fitted

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ /-]{0,99}")

_NOT_OURS: Final = frozenset({403, 404})
"""What a forge says to whoever changes a comment of others, or one that has just gone."""


class Comment(NamedTuple):
    """A comment on a change.

    Attributes:
        identity: how the forge calls it.
        text: what it says, as Markdown.
    """

    identity: str
    text: str


class Change(Protocol):
    """A pull request or merge request."""

    @property
    def limit(self) -> int:
        """Characters that a comment may have."""
        ...

    def comments(self) -> Iterator[Comment]:
        """Its comments, oldest first."""
        ...

    def add(self, text: str) -> None:
        """Adds a comment."""
        ...

    def replace(self, comment: Comment, text: str) -> None:
        """Replaces what a comment says."""
        ...


def keep_comment(change: Change, text: str, name: str, foot: str = "") -> bool:
    """Says a text on a change: in the comment of this name if there is one, else in a new one.

    Args:
        change: where to say it.
        text: Markdown; what does not fit is left out and named.
        name: tells the comments of several gates apart.
        foot: Markdown that ends the comment and is never left out.

    Returns:
        Whether there was one.

    Raises:
        UsageError: the name cannot be part of a marker.
        ForgeError: the forge refuses it or cannot be reached.
    """
    mark = marker(name)
    end = f"\n{foot}\n" if foot else ""
    whole = f"{mark}\n{fitted(text, change.limit - len(mark) - 1 - len(end))}{end}"
    for comment in change.comments():
        if not comment.text.startswith(mark):
            continue
        try:
            change.replace(comment, whole)
        except ForgeError as error:
            if error.status not in _NOT_OURS:
                raise
            continue  # somebody else's who has copied it, or deleted meanwhile
        return True
    change.add(whole)
    return False


def marker(name: str) -> str:
    """What the comment of a name begins with, unseen by readers.

    Raises:
        UsageError: the name cannot be part of it.
    """
    if not _NAME.fullmatch(name) or "--" in name:
        raise UsageError(
            f"{name!r} is no name of a comment: letters, digits and . _ / -, at most 100, "
            "and no two hyphens in a row"
        )
    return f"<!-- heatproof gate: {name} -->"
