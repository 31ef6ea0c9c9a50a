"""Measures every metric on the bundled network and photographs, for the pictures of its page.

Run in the repository, with the extra `server`:

    python examples/metric_pictures/measure.py            # all groups of settings.py; about an hour
    python examples/metric_pictures/measure.py curves     # some

It writes `scores.json` beside this file, group by group; `draw.py` draws what is there.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from settings import GROUPS, Group

from heatproof.client import Client
from heatproof.v1.results_pb2 import Curve, MetricResult, Summary

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parent
SCORES: Final = HERE / "scores.json"
IMAGES: Final = 5

Measured = dict[str, dict[str, Any]]


def photographs(count: int) -> list[Path]:
    """Labelled photographs whose object is marked."""
    marked = {path.stem for path in (EXAMPLES / "masks").glob("*.png")}
    with (EXAMPLES / "labels.csv").open(encoding="utf-8") as file:
        named = [EXAMPLES / "photographs" / row["file"] for row in csv.DictReader(file)]
    return [path for path in named if path.stem in marked][:count]


def measured(client: Client, group: Group, known: set[str], count: int) -> Measured:
    """What each metric of a group comes to, by explainer or by removal operator."""
    report = client.evaluate(
        EXAMPLES / "models" / "efficientnet-lite0.onnx",
        photographs(count),
        preprocessing=EXAMPLES / "layer_masking" / "preprocessing.toml",
        metrics=[{name: options} for name, options in group.metrics.items() if name in known],
        explainers=list(group.explainers),
        removals=list(group.removals),
        labels=EXAMPLES / "labels.csv",
        masks=EXAMPLES / "masks" if group.are_objects_read else None,
    )
    found: Measured = {}
    for result in report.results:
        name = str(result.metric.WhichOneof("metric"))
        entry = found.setdefault(name, _entry(name, group, result))
        row = _row(result)
        entry["scores"][row] = _score(result.summary)
        if (curve := _curve(result)) is not None:
            entry["curves"][row] = {"x": list(curve.fractions), "y": list(curve.values)}
            entry["x_title"], entry["y_title"] = curve.x_unit, curve.unit
    return found


def _entry(name: str, group: Group, result: MetricResult) -> dict[str, Any]:
    return {
        "settings": dict(group.metrics[name]),
        "removal": "" if result.explainer.WhichOneof("explainer") is None else _operator(result),
        "direction": result.direction,
        "scores": {},
        "curves": {},
    }


def _operator(result: MetricResult) -> str:
    return result.removal.WhichOneof("operator") or ""


def _row(result: MetricResult) -> str:
    return result.explainer.WhichOneof("explainer") or _operator(result)


def _score(summary: Summary) -> dict[str, float | int | None]:
    has = summary.HasField("interval")
    return {
        "value": summary.value if summary.HasField("value") else None,
        "lower": summary.interval.lower if has else None,
        "upper": summary.interval.upper if has else None,
        "scored": summary.scored,
    }


def _curve(result: MetricResult) -> Curve | None:
    """The first of those that the score is read off, by name."""
    curves: Mapping[str, Curve] = result.curves
    scored = (name for name in sorted(curves) if curves[name].role == Curve.ROLE_SCORED)
    name = next(scored, None)
    return None if name is None else curves[name]


def groups_of(names: list[str]) -> Iterator[Group]:
    """The groups of these names; all of them if none is named."""
    for name, group in GROUPS.items():
        if not names or name in names:
            print(name, flush=True)
            yield group


def main() -> None:
    """Measures group by group and keeps what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help="names in settings.py; all if none is named")
    parser.add_argument("--images", type=int, default=IMAGES, help="photographs")
    options = parser.parse_args()
    found: Measured = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    with Client.embedded() as client:
        known = {metric.name.rpartition("/")[2] for metric in client.catalog().metrics}
        for group in groups_of(options.groups):
            found |= measured(client, group, known, options.images)
            SCORES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
