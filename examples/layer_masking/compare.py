"""Compares layer masking with painting over, by the layer-masking paper's own evaluations.

Run in the repository, with the extra `server`: `python examples/layer_masking/compare.py`. It
prints a table with 95 % intervals, and by class whether the model finds it without the object, and
draws `unchanged.png` beside this file. The model and the labelled photographs are those of
`examples/`; `features.py` has the paper's other evaluations.
"""

import argparse
import csv
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from line_chart import LineChart

from heatproof.client import Client, Report
from heatproof.v1.results_pb2 import MetricResult, Summary

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parent

OPERATORS: Final = ("layer", "blur", "mean", "grey", "black", "white")
METRICS: Final = ("segment_removal", "mask_shape_bias", "concordance")


def labelled_photographs() -> list[Path]:
    """The photographs whose subject is a class of the model."""
    with (EXAMPLES / "labels.csv").open(encoding="utf-8") as file:
        return [EXAMPLES / "photographs" / row["file"] for row in csv.DictReader(file)]


def evaluated() -> Report:
    """All metrics of every operator, on a server of its own."""
    with Client.embedded() as client:
        return client.evaluate(
            EXAMPLES / "models" / "efficientnet-lite0.onnx",
            labelled_photographs(),
            preprocessing=HERE / "preprocessing.toml",
            metrics=METRICS,
            removals=OPERATORS,
            labels=EXAMPLES / "labels.csv",
            masks=EXAMPLES / "masks",
        )


def result(report: Report, metric: str, operator: str) -> MetricResult:
    """The result of one metric and operator."""
    return next(
        found
        for found in report.results
        if found.metric.WhichOneof("metric") == metric
        and found.removal.WhichOneof("operator") == operator
    )


def cell(summary: Summary) -> str:
    """An estimate with its interval, where it has them."""
    if not summary.HasField("value"):
        return "none"
    if not summary.HasField("interval"):
        return f"{summary.value:.2f}"
    return f"{summary.value:.2f} [{summary.interval.lower:.2f}, {summary.interval.upper:.2f}]"


def rows(report: Report) -> list[tuple[str, ...]]:
    """One row an operator, under a heading."""
    found = [
        ("operator", "unchanged", "accuracy", "class entropy", "mask-shape bias", "concordance")
    ]
    for operator in OPERATORS:
        removal = result(report, "segment_removal", operator)
        bias = result(report, "mask_shape_bias", operator)
        found.append(
            (
                operator,
                cell(removal.summary),
                cell(removal.parts["accuracy"]),
                cell(removal.parts["class_entropy"]),
                cell(bias.summary),
                cell(result(report, "concordance", operator).summary),
            )
        )
    return found


def table(report: Report) -> str:
    """The rows in Markdown, and the ceiling of the entropy."""
    lines = [f"| {' | '.join(row)} |" for row in rows(report)]
    lines.insert(1, "|---" * len(rows(report)[0]) + "|")
    removal, bias, pairs = (result(report, metric, "layer") for metric in METRICS)
    ceiling = removal.parts["class_entropy_ceiling"]
    note = (
        f"{removal.summary.scored} photographs, {bias.summary.scored} of them with an object mask "
        f"and classified rightly, {pairs.summary.scored} pairs. Class entropy is at most "
        f"{ceiling.value:.2f}."
    )
    return "\n".join([*lines, "", note])


def found_without_object(report: Report) -> str:
    """By class, operators under which the model finds it without its object, and without a hole.

    Only of photographs that it classifies rightly; what the mask's shape or the background gives
    away.
    """
    names = (EXAMPLES / "models" / "imagenet-classes.txt").read_text(encoding="utf-8").splitlines()
    places = {operator: result(report, "mask_shape_bias", operator).index for operator in OPERATORS}
    lines = ["| class | found without the object | without the rolled mask |", "|---|---|---|"]
    for image in sorted(report.images, key=lambda found: found.label):
        scores = {score.result: score.parts for score in image.scores}
        parts = {operator: scores[place] for operator, place in places.items()}
        if not all(parts.values()):
            continue
        cells = [
            ", ".join(operator for operator in OPERATORS if parts[operator][hit].value == 1) or "-"
            for hit in ("object_hit", "control_hit")
        ]
        lines.append(f"| {names[image.label]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(report: Report) -> np.ndarray:
    """Unchanged predictions over the share hidden, a line an operator."""
    curves = {
        operator: result(report, "segment_removal", operator).curves["unchanged"]
        for operator in OPERATORS
    }
    fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    return LineChart(
        {
            operator: list(zip(curve.fractions, curve.values, strict=True))
            for operator, curve in curves.items()
        },
        "share of segments hidden, in a random order",
        "share of predictions that are those of the whole image",
        x_ticks=fifths,
        y_ticks=fifths,
    ).picture()


def main() -> None:
    """Prints the table and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", type=Path, default=HERE / "unchanged.png", help="where to")
    arguments = parser.parse_args()
    report = evaluated()
    print(table(report), found_without_object(report), sep="\n\n")
    cv2.imwrite(str(arguments.picture), picture(report))


if __name__ == "__main__":
    main()
