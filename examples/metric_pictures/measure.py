"""Measures every metric on the bundled network and photographs, for the pictures of its page.

Run in the repository, with the extra `server`:

    python examples/metric_pictures/measure.py            # all groups of settings.py; about an hour
    python examples/metric_pictures/measure.py curves     # some

It writes `scores.json` beside this file, group by group; `draw.py` draws what is there.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageEnhance
from settings import GROUPS, Group

from heatproof.client import Client
from heatproof.client.documents.results import Report
from heatproof.v1.reliability_pb2 import MetricReliability
from heatproof.v1.results_pb2 import Curve, Interval, MetricResult

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parent
SCORES: Final = HERE / "scores.json"
IMAGES: Final = 20
PALE: Final = 0.7
"""Contrast of a photograph's second view."""

Measured = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Photographs:
    """What is shown to the network.

    Attributes:
        paths: image files.
        labels: CSV with their classes, and with the photograph that each shows where one is shown
            more than once.
    """

    paths: list[Path]
    labels: Path

    @classmethod
    def first(cls, count: int) -> "Photographs":
        """The first labelled photographs whose object is marked."""
        labels = EXAMPLES / "labels.csv"
        marked = {path.stem for path in (EXAMPLES / "masks").glob("*.png")}
        with labels.open(encoding="utf-8") as file:
            named = [EXAMPLES / "photographs" / row["file"] for row in csv.DictReader(file)]
        return cls([path for path in named if path.stem in marked][:count], labels)

    def in_two_views(self, home: Path) -> "Photographs":
        """Each as it is and paler, so that every label has two images; written to a folder."""
        with self.labels.open(encoding="utf-8") as file:
            classes = {row["file"]: row["label"] for row in csv.DictReader(file)}
        rows, paths = ["file,label,group"], []
        for path in self.paths:
            image = Image.open(path).convert("RGB")
            for contrast in (1, PALE):
                view = home / f"{path.stem}_{contrast}.png"
                ImageEnhance.Contrast(image).enhance(contrast).save(view)
                rows.append(f"{view.name},{classes[path.name]},{path.stem}")
                paths.append(view)
        labels = home / "labels.csv"
        labels.write_text("\n".join(rows), encoding="utf-8")
        return Photographs(paths, labels)


def measured(client: Client, group: Group, known: set[str], shown: Photographs) -> Measured:
    """What each metric of a group comes to, by explainer or by removal operator."""
    report = client.evaluate(
        EXAMPLES / "models" / "efficientnet-lite0.onnx",
        shown.paths,
        preprocessing=EXAMPLES / "layer_masking" / "preprocessing.toml",
        metrics=[{name: options} for name, options in group.metrics.items() if name in known],
        explainers=list(group.explainers),
        removals=list(group.removals),
        labels=shown.labels,
        assess=group.is_assessed,
        masks=EXAMPLES / "masks" if group.are_objects_read else None,
    )
    found: Measured = {}
    for result in report.results:
        name = str(result.metric.WhichOneof("metric"))
        entry = found.setdefault(name, _entry(name, group, result))
        row = _row(result)
        entry["scores"][row] = _score(result)
        if (curve := _curve(result)) is not None:
            entry["curves"][row] = {"x": list(curve.fractions), "y": list(curve.values)}
            entry["x_title"], entry["y_title"] = curve.x_unit, curve.unit
    if group.is_assessed:
        for name, steps in _steps(client, report):
            found[name]["steps"] = steps
    return found


def _entry(name: str, group: Group, result: MetricResult) -> dict[str, Any]:
    return {
        "settings": dict(group.metrics[name]),
        "removal": "" if result.explainer.WhichOneof("explainer") is None else _operator(result),
        "direction": result.direction,
        "scores": {},
        "curves": {},
        "steps": [],
    }


def _operator(result: MetricResult) -> str:
    return result.removal.WhichOneof("operator") or ""


def _row(result: MetricResult) -> str:
    return result.explainer.WhichOneof("explainer") or _operator(result)


def _score(result: MetricResult) -> dict[str, float | int | None]:
    summary = result.summary
    return {
        "value": summary.value if summary.HasField("value") else None,
        **_ends(summary.interval if summary.HasField("interval") else None),
        "scored": summary.scored,
    }


def _ends(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"lower": None, "upper": None}
    return {"lower": interval.lower, "upper": interval.upper}


def _steps(client: Client, report: Report) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """By metric: pairs of maps of which one should score better, with what was found of them."""
    for metric in client.assess_metrics(report).reliabilities:
        rows = [str(one.explainer.WhichOneof("explainer")) for one in metric.maps]
        roles = [MetricReliability.Role.Name(one.role).lower() for one in metric.maps]
        yield (
            str(metric.metric.WhichOneof("metric")),
            [
                {
                    "worse": rows[step.worse],
                    "better": rows[step.better],
                    "roles": [
                        roles[place].removeprefix("role_") for place in (step.worse, step.better)
                    ],
                    "gain": step.gain if step.HasField("gain") else None,
                    **_ends(step.interval if step.HasField("interval") else None),
                    "holds": MetricReliability.Holds.Name(step.holds).removeprefix("HOLDS_"),
                }
                for step in metric.steps
            ],
        )


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


def keep(new: Measured) -> None:
    """Writes what was measured beside what was before."""
    found: Measured = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    SCORES.write_text(json.dumps(found | new, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Measures group by group and keeps what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help="names in settings.py; all if none is named")
    parser.add_argument("--images", type=int, default=IMAGES, help="photographs")
    options = parser.parse_args()
    photographs = Photographs.first(options.images)
    with Client.embedded() as client, tempfile.TemporaryDirectory() as home:
        known = {metric.name.rpartition("/")[2] for metric in client.catalog().metrics}
        in_two_views = photographs.in_two_views(Path(home))
        for group in groups_of(options.groups):
            shown = in_two_views if group.are_views_shown else photographs
            keep(measured(client, group, known, shown))


if __name__ == "__main__":
    main()
