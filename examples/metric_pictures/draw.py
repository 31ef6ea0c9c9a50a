"""Draws what `measure.py` found: a picture for each metric's page, and the page of orderings.

Run in the repository: `python examples/metric_pictures/draw.py`. It writes
`docs/pictures/metrics/<name>.png` and the table of `docs/metric-orderings.md`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from chart import Chart, Score
from measure import SCORES
from PIL import Image
from settings import CONTROLS, EXPLAINERS, REMOVALS

from heatproof.v1.results_pb2 import Direction

DOCS: Final = Path(__file__).parents[2] / "docs"
PICTURES: Final = DOCS / "pictures" / "metrics"
PAGE: Final = DOCS / "metric-orderings.md"
_TABLE: Final = re.compile(r"(<!-- orderings -->\n).*?(\n<!-- end -->)", re.DOTALL)
_WORDS: Final = {
    Direction.DIRECTION_HIGHER_IS_BETTER: "higher is better",
    Direction.DIRECTION_LOWER_IS_BETTER: "lower is better",
    Direction.DIRECTION_CLOSER_TO_ZERO: "closer to zero is better",
}

_COLOURS: Final = 48
_ORDER: Final = {name: place for place, one in enumerate((*EXPLAINERS, *REMOVALS)) for name in one}

Entry = Mapping[str, Any]


def chart(name: str, entry: Entry) -> Chart:
    """The picture of a metric."""
    most = max(score["scored"] for score in entry["scores"].values())
    scores = [
        Score(
            row,
            score["value"],
            score["lower"],
            score["upper"],
            "" if score["scored"] == most else f" (n = {score['scored']})",
        )
        for row, score in sorted(entry["scores"].items(), key=lambda item: _ORDER[item[0]])
    ]
    hidden = f", {entry['removal']}" if entry["removal"] else ""
    has_intervals = any(score.lower is not None for score in scores)
    intervals = ", 95 % intervals" if has_intervals else ""
    return Chart(
        f"{name}: {_WORDS[entry['direction']]} ({most} images{hidden}{intervals})",
        scores,
        {
            row: list(zip(curve["x"], curve["y"], strict=True))
            for row, curve in entry["curves"].items()
        },
        entry.get("x_title", ""),
        entry.get("y_title", ""),
    )


def goodness(entry: Entry, row: str) -> float | None:
    """A score turned so that higher is better."""
    value = entry["scores"].get(row, {}).get("value")
    if value is None:
        return None
    turned: Mapping[int, float] = {
        Direction.DIRECTION_HIGHER_IS_BETTER: value,
        Direction.DIRECTION_LOWER_IS_BETTER: -value,
        Direction.DIRECTION_CLOSER_TO_ZERO: -abs(value),
    }
    return turned[entry["direction"]]


def ordering(name: str, entry: Entry) -> str:
    """A row of the table: every map with its score, the best first, and what holds of them."""
    known = {row: good for row in entry["scores"] if (good := goodness(entry, row)) is not None}
    ranked = sorted(known, key=lambda row: -known[row])
    shown = ", ".join(f"{row} {_interval(entry['scores'][row])}" for row in ranked)
    explainers = [row for row in entry["scores"] if row not in CONTROLS]
    claims = (_beats(known, ["centre"], "random"), _beats(known, explainers, "centre"))
    return f"| {name} | {shown} | {' | '.join(claims)} |"


def _beats(known: Mapping[str, float], rows: list[str], other: str) -> str:
    """How many of some maps score better than another one."""
    compared = [row for row in rows if row in known]
    if other not in known or not compared:
        return "none scored"
    better = sum(known[row] > known[other] for row in compared)
    if len(compared) == 1:
        return "yes" if better else "no"
    return f"{better} of {len(compared)}"


def _interval(score: Mapping[str, float | None]) -> str:
    if score["lower"] is None:
        return f"{score['value']:.3g}"
    return f"{score['value']:.3g} [{score['lower']:.3g}, {score['upper']:.3g}]"


def main() -> None:
    """Draws everything that was measured."""
    found = json.loads(SCORES.read_text(encoding="utf-8"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, entry in found.items():
        pixels = chart(name, entry).picture()[:, :, ::-1]
        few = Image.fromarray(np.ascontiguousarray(pixels)).quantize(_COLOURS)
        few.save(PICTURES / f"{name}.png", optimize=True)
    of_maps = {name: entry for name, entry in found.items() if "random" in entry["scores"]}
    head = "| metric | maps, the best first | centre over random | explainers over centre |"
    lines = [head, "|---|---|---|---|", *(ordering(*item) for item in sorted(of_maps.items()))]
    text = PAGE.read_text(encoding="utf-8")
    body = "\n".join(lines)
    PAGE.write_text(_TABLE.sub(lambda m: m[1] + body + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
