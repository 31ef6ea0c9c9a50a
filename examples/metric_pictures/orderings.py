"""The page of orderings: which maps each metric scores better than others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from heatproof.v1.results_pb2 import Direction

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "metric-orderings.md"

Entry = Mapping[str, Any]
"""What was measured of a metric."""

Step = Mapping[str, Any]
"""A pair of maps of which one should score better, with what was found of it."""

CLAIMS: Final[Mapping[str, Callable[[Step], bool]]] = {
    "centre over random": lambda step: step["better"] == "centre",
    "explainers over random": lambda step: step["roles"] == ["random", "explainer"],
    "explainers over centre": lambda step: (
        step["worse"] == "centre" and step["roles"][1] == "explainer"
    ),
    "own answers over random": lambda step: step["roles"] == ["random", "oracle"],
    "own answers over explainers": lambda step: step["roles"] == ["explainer", "oracle"],
}
"""Orders that a measure of faithfulness should find, by the heads of their columns."""

GAINS: Final[Mapping[str, tuple[str, str, str]]] = {
    "own answers over random": ("random", "occlusion", "oracle"),
    "own answers over centre": ("centre", "occlusion", "oracle"),
    "grad_cam over random": ("random", "grad_cam", "explainer"),
    "grad_cam over centre": ("centre", "grad_cam", "explainer"),
}
"""Pairs of maps whose gains are told, with the role of the better one."""


def number(value: float | None) -> str:
    """Three digits of a value, or all before the point; empty where there is none."""
    if value is None:
        return ""
    rounded = round(value, 10)
    return f"{rounded:.0f}" if 1000 <= abs(rounded) < 1e6 else f"{rounded:.3g}"


def goodness(entry: Entry, row: str) -> float | None:
    """A score turned so that higher is better."""
    value = entry["scores"][row]["value"]
    if value is None:
        return None
    turned: Mapping[int, float] = {
        Direction.DIRECTION_HIGHER_IS_BETTER: value,
        Direction.DIRECTION_LOWER_IS_BETTER: -value,
        Direction.DIRECTION_CLOSER_TO_ZERO: -abs(value),
    }
    return turned[entry["direction"]]


def ordering(name: str, entry: Entry) -> str:
    """A row of the table: every map with its score, the best first, and which orders are found."""
    known = {row: good for row in entry["scores"] if (good := goodness(entry, row)) is not None}
    ranked = sorted(known, key=lambda row: -known[row])
    shown = ", ".join(f"{row} {_interval(entry['scores'][row])}" for row in ranked)
    found = " | ".join(_told(list(steps)) for steps in _claims(entry).values())
    return f"| {_link(name)} | {shown} | {found} |"


def counts(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Rows that say of how many metrics of a category each order is found."""
    by_category: dict[str, list[Entry]] = {}
    for name, entry in sorted(entries.items()):
        by_category.setdefault(_page(name).parent.name, []).append(entry)
    for category, held in sorted(by_category.items()):
        claims = [_claims(entry) for entry in held]
        cells = (_counted([claim[title] for claim in claims]) for title in CLAIMS)
        yield f"| {category} | {len(held)} | {' | '.join(cells)} |"


def gains(name: str, entry: Entry) -> str:
    """A row with the gains of the model's own answers, and of Grad-CAM, and their intervals."""
    found = {
        (step["worse"], step["better"], step["roles"][1]): _gain(step) for step in entry["steps"]
    }
    cells = (found.get(pair, "") for pair in GAINS.values())
    return f"| {_link(name)} | {entry['removal']} | {' | '.join(cells)} |"


def _gain(step: Step) -> str:
    value, lower, upper = (number(step[name]) for name in ("gain", "lower", "upper"))
    return f"{value} [{lower}, {upper}]" if lower else value


def _counted(steps: Sequence[Sequence[str]]) -> str:
    """Metrics for which a claim holds of one map at least, of those that were asked."""
    asked = [found for found in steps if found]
    better = sum("HOLDS" in found for found in asked)
    worse = sum(set(found) == {"VIOLATED"} for found in asked)
    return f"{better} of {len(asked)}{f', {worse} reversed' if worse else ''}" if asked else ""


def _claims(entry: Entry) -> dict[str, list[str]]:
    """What was found of the pairs of maps of each claim."""
    return {
        title: [step["holds"] for step in entry["steps"] if is_one(step)]
        for title, is_one in CLAIMS.items()
    }


def _told(found: Sequence[str]) -> str:
    """How many of some orders are found, and how many are found the other way round."""
    if not found:
        return ""
    better, worse = found.count("HOLDS"), found.count("VIOLATED")
    if len(found) == 1:
        return "yes" if better else "reversed" if worse else "?"
    return f"{better} of {len(found)}{f', {worse} reversed' if worse else ''}"


def _interval(score: Mapping[str, float | None]) -> str:
    value, lower, upper = (number(score[name]) for name in ("value", "lower", "upper"))
    return f"{value} [{lower}, {upper}]" if lower else value


def _page(name: str) -> Path:
    return next((DOCS / "metrics").glob(f"*/{name}.md"))


def _link(name: str) -> str:
    return f"[{name}]({_page(name).relative_to(DOCS).as_posix()})"


def table(first: str, columns: Iterable[str], lines: Iterable[str]) -> str:
    """Markdown."""
    head = f"| {first} | {' | '.join(columns)} |"
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *lines])


def filled(text: str, found: Mapping[str, Entry]) -> str:
    """The text of the page with its tables.

    Args:
        text: the page.
        found: what was measured, by metric; what rates no maps is left out.
    """
    of_maps = {name: entry for name, entry in sorted(found.items()) if entry["steps"]}
    orderings = (ordering(*item) for item in of_maps.items())
    asked = (gains(*item) for item in of_maps.items() if item[1]["removal"])
    for place, body in (
        ("counts", table("category | metrics", CLAIMS, counts(of_maps))),
        ("gains", table("metric | operator", GAINS, asked)),
        ("orderings", table("metric | maps, the best first", CLAIMS, orderings)),
    ):
        text = _with(text, place, body)
    return text


def _with(text: str, place: str, body: str) -> str:
    """The text with another body between the marks of a place."""
    before, start, rest = text.partition(f"<!-- {place} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{start}{body}\n{end}{after}"
