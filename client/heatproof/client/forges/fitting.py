"""Markdown that fits where it is shown."""

import html
import re
from collections.abc import Sequence
from typing import Final

from heatproof.client.report.markdown import escape

_FOLDED: Final = re.compile(r"<details>.*?</details>\n*", re.DOTALL)
_SUMMARY: Final = re.compile(r"<summary>(.*?)</summary>", re.DOTALL)

_NAMED: Final = 8
"""Parts that are named when they are left out; the others are counted."""

_TITLE: Final = 200
"""Characters of a title that are named."""


def fitted(text: str, limit: int) -> str:
    """The text within a number of characters, with a last line on what was left out.

    What is folded away goes first, from the end on; if that is not enough, lines of the rest go.

    Args:
        text: Markdown, with `<details>` that hold no others.
        limit: characters that may be used, at least those of the last line.
    """
    if len(text) <= limit:
        return text
    left_out: list[str] = []
    for block in reversed(list(_FOLDED.finditer(text))):
        if len(text) + len(_note(left_out)) <= limit:
            break
        text = text[: block.start()] + text[block.end() :]
        left_out.insert(0, _title(block[0]))
    return _cut(text, left_out, limit)


def _cut(text: str, left_out: Sequence[str], limit: int) -> str:
    """The text without as many lines of its end as must go."""
    note = _note(left_out)
    if len(text) + len(note) <= limit:
        return text.rstrip("\n") + note
    lines = text.splitlines(keepends=True)
    kept = len(lines)
    size = len(text)
    while kept and size + len(note) > limit:
        kept -= 1
        size -= len(lines[kept])
        note = _note([*left_out, f"the last {len(lines) - kept} lines of the rest"])
    return "".join(lines[:kept]).rstrip("\n") + note


def _title(block: str) -> str:
    found = _SUMMARY.search(block)
    if not found:
        return "a folded part"
    # It leaves the HTML that kept it from being read as Markdown.
    return f"“{escape(html.unescape(found[1]).strip()[:_TITLE])}”"


def _note(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    named, rest = list(left_out[-_NAMED:]), len(left_out) - _NAMED
    if rest > 0:
        named.insert(0, f"{rest} folded parts")
    return f"\n\n> ✂️ Left out, for this would be too long: {', '.join(named)}.\n"
