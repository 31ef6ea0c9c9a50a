"""Draws what `measure.py` found: a picture for each metric's page, and the page of orderings.

Run in the repository: `python examples/metric_pictures/draw.py`. It writes
`docs/pictures/metrics/<name>.png` and the tables of `docs/metric-orderings.md`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from chart import Chart, Score
from measure import SCORES
from orderings import DOCS, PAGE, filled
from PIL import Image
from settings import EXPLAINERS, GROUPS, REMOVALS

from heatproof.v1.results_pb2 import Direction

PICTURES: Final = DOCS / "pictures" / "metrics"
_WORDS: Final = {
    Direction.DIRECTION_HIGHER_IS_BETTER: "higher is better",
    Direction.DIRECTION_LOWER_IS_BETTER: "lower is better",
    Direction.DIRECTION_CLOSER_TO_ZERO: "closer to zero is better",
}

_COLOURS: Final = 96
_IN_TWO_VIEWS: Final = {
    name for group in GROUPS.values() if group.are_views_shown for name in group.metrics
}
_ORDER: Final = {name: place for place, one in enumerate((*EXPLAINERS, *REMOVALS)) for name in one}

Entry = Mapping[str, Any]


def chart(name: str, entry: Entry) -> Chart:
    """The picture of a metric."""
    most = max(score["scored"] for score in entry["scores"].values())
    oracles = {step["better"] for step in entry["steps"] if step["roles"][1] == "oracle"}
    shown = {row: f"{row} (own answers)" if row in oracles else row for row in entry["scores"]}
    scores = [
        Score(
            shown[row],
            score["value"],
            score["lower"],
            score["upper"],
            "" if score["scored"] == most else f" (n = {score['scored']})",
        )
        for row, score in sorted(entry["scores"].items(), key=lambda item: _ORDER[item[0]])
    ]
    has_intervals = any(score.lower is not None for score in scores)
    said = (
        f"{most} images",
        "two views of each photograph" if name in _IN_TWO_VIEWS else "",
        entry["removal"],
        "95 % intervals" if has_intervals else "",
    )
    return Chart(
        f"{name}: {_WORDS[entry['direction']]} ({', '.join(filter(None, said))})",
        scores,
        {
            shown[row]: list(zip(curve["x"], curve["y"], strict=True))
            for row, curve in entry["curves"].items()
        },
        entry.get("x_title", ""),
        entry.get("y_title", ""),
    )


def draw(name: str, entry: Entry) -> None:
    """Writes the picture of a metric."""
    pixels = chart(name, entry).picture()[:, :, ::-1]
    few = Image.fromarray(np.ascontiguousarray(pixels)).quantize(
        _COLOURS, Image.Quantize.MAXCOVERAGE
    )
    few.save(PICTURES / f"{name}.png", optimize=True)


def main() -> None:
    """Draws everything that was measured."""
    found = json.loads(SCORES.read_text(encoding="utf-8"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, entry in found.items():
        draw(name, entry)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
