"""Templates of the HTML pages, and what a page may load and run."""

import base64
import hashlib
from importlib import metadata, resources
from typing import TYPE_CHECKING, Final

from heatproof.client.extras import required
from heatproof.client.report.failures import NO_VERDICT
from heatproof.client.report.numbers import ABSENT
from heatproof.client.report.page import charts, whiskers

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES: Final = resources.files("heatproof.client.report").joinpath("templates")

SIZES: Final = {
    "chart_width": charts.CHART_WIDTH,
    "chart_height": charts.CHART_HEIGHT,
    "left": charts.LEFT,
    "right": charts.CHART_WIDTH - charts.RIGHT,
    "top": charts.TOP,
    "bottom": charts.CHART_HEIGHT - charts.BOTTOM,
    "whisker_width": whiskers.WHISKER_WIDTH,
    "whisker_height": whiskers.WHISKER_HEIGHT,
}
"""Pixels of the drawings, and of the edges of a chart's axes."""

SYMBOLS: Final = {
    "pass": "✓",
    "fail": "✗",
    "inconclusive": "?",
    "not evaluated": "!",
    "skipped": ABSENT,
    "better": "▲",
    "worse": "▼",
    "not told from chance": "≈",
    "trusted": "✓",
    "doubtful": "!",
    "untrusted": "✗",
    "undecided": "?",
}
"""Marks of outcomes, so that no colour says by itself what a word says; others have none."""

INVISIBLE: Final = (*range(9), 11, 12, *range(14, 32), 127)
TURNS: Final = (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Code points of controls, and of what turns the direction of the text after it."""

UNSEEN: Final = dict.fromkeys((*INVISIBLE, *TURNS), "\N{REPLACEMENT CHARACTER}")
"""What is shown in their place: one in a name could turn the numbers after it."""

DIRECTIONS: Final = {
    "↑": "higher is better",
    "↓": "lower is better",
    "→0": "closer to zero is better",
}
"""What the arrows of scores mean."""


def filled(template: str, **values: object) -> str:
    """A template of `TEMPLATES` with its values, all of them escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = required("jinja2", extra="report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_text),
        finalize=_shown,
    )
    environment.filters["breakable"] = _breakable
    style, script = _text("page.css"), _text("page.js")
    environment.globals.update(
        sizes=SIZES,
        version=metadata.version("heatproof"),
        no_verdict=NO_VERDICT,
        symbols=SYMBOLS,
        directions=DIRECTIONS,
        against="",
        sections=[],  # filled by the headings of the page
        style=_trusted(style),
        script=_trusted(script),
        policy=lambda scripted: content_policy(style, script if scripted else None),
    )
    page: str = environment.get_template(template).render(values)
    return page


def content_policy(style: str, script: str | None) -> str:
    """The content security policy of a page: its own style and script, and pictures within it.

    Nothing is fetched, and text that came in by a name can neither run nor style anything.

    Args:
        style: the page's only style sheet.
        script: its only script; None if it has none.
    """
    allowed = ["default-src 'none'", "img-src data:", f"style-src '{_digest(style)}'"]
    allowed += [] if script is None else [f"script-src '{_digest(script)}'"]
    return "; ".join([*allowed, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return TEMPLATES.joinpath(name).read_text(encoding="utf-8")


def _trusted(text: str) -> "Markup":
    """Text of our own files, which holds no names."""
    marked: Markup = required("markupsafe", extra="report").Markup(text)
    return marked


def _shown(value: object) -> object:
    """Texts without what steers their direction or cannot be seen; all else as it is."""
    is_ours = hasattr(value, "__html__")
    return value.translate(UNSEEN) if isinstance(value, str) and not is_ours else value


def _breakable(text: str) -> "Markup":
    """Escapes a text and lets lines break behind its underscores and slashes."""
    markup = required("markupsafe", extra="report")
    escaped = str(markup.escape(_shown(text)))
    for mark in ("_", "/"):
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    marked: Markup = markup.Markup(escaped)
    return marked
