"""What removal operators do to the features of a network, by the layer-masking paper's evaluations.

Run in the repository, with the extra `server`: `python examples/layer_masking/features.py`. It
prints how far features of patches add up, how long they are against the size of the patch, and how
well LIME finds the object, with 95 % intervals, and draws `magnitude.png` beside this file.
"""

import argparse
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from compare import EXAMPLES, HERE, cell, labelled_photographs
from line_chart import LineChart

from heatproof.client import Client, Report
from heatproof.v1.results_pb2 import MetricResult

OPERATORS: Final = ("layer", "grey", "black")
PATCHES: Final = (32, 56, 112)
PHOTOGRAPHS: Final = 10
SAMPLES: Final = 64


def evaluated(
    client: Client,
    metrics: list[dict[str, object]],
    images: list[Path],
    masks: Path | None = None,
) -> Report:
    """Metrics of every operator over some photographs, with the masks that they read."""
    return client.evaluate(
        EXAMPLES / "models" / "efficientnet-lite0.onnx",
        images,
        preprocessing=HERE / "preprocessing.toml",
        metrics=metrics,
        removals=OPERATORS,
        masks=masks,
    )


def masked_photographs() -> list[Path]:
    """The first labelled photographs whose object is marked."""
    marked = {mask.stem for mask in (EXAMPLES / "masks").glob("*.png")}
    return [path for path in labelled_photographs() if path.stem in marked][:PHOTOGRAPHS]


def linearity(report: Report, operator: str, patch: int) -> MetricResult:
    """The result of one operator and size of patch."""
    return next(
        found
        for found in report.results
        if found.removal.WhichOneof("operator") == operator
        and found.metric.linearity.patch == patch
    )


def relative_magnitude(result: MetricResult) -> float:
    """Mean length of the features of one patch over that of the whole image's."""
    return float(result.parts["patch_magnitude"].value / result.parts["image_magnitude"].value)


def features_table(report: Report) -> str:
    """Linearity and relative magnitude, a row an operator and patch."""
    lines = [
        "| operator | patch | cosine of the sum | length of a patch | vanished |",
        5 * "|---" + "|",
    ]
    for operator in OPERATORS:
        for patch in PATCHES:
            found = linearity(report, operator, patch)
            vanished = found.parts["n_zero_coverage"].value
            lines.append(
                f"| {operator} | {patch} | {cell(found.summary)} | {relative_magnitude(found):.2f} "
                f"| {vanished:.1f} |"
            )
    return "\n".join(lines)


def lime_table(report: Report) -> str:
    """How well LIME's cells agree with the object, a row an operator."""
    lines = ["| operator | alignment | Jaccard of the top 10 |", "|---|---|---|"]
    for found in report.results:
        operator = found.removal.WhichOneof("operator")
        lines.append(f"| {operator} | {cell(found.summary)} | {cell(found.parts['jaccard'])} |")
    return "\n".join(lines)


def picture(report: Report) -> np.ndarray:
    """Relative magnitude over the size of the patch, a line an operator."""
    lines = {
        operator: [
            (patch, relative_magnitude(linearity(report, operator, patch))) for patch in PATCHES
        ]
        for operator in OPERATORS
    }
    highest = max(length for line in lines.values() for _, length in line)
    return LineChart(
        lines,
        "side of the only visible patch in pixels",
        "length of the features, over that of the whole image",
        x_ticks=PATCHES,
        y_ticks=np.arange(0, highest + 0.25, 0.25).tolist(),
    ).picture()


def main() -> None:
    """Prints the tables and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", type=Path, default=HERE / "magnitude.png", help="where to")
    arguments = parser.parse_args()
    protocol = {"regions": {"grid": {"side": 7}}, "samples": SAMPLES, "top": 10}
    images = masked_photographs()
    with Client.embedded() as client:
        features = evaluated(client, [{"linearity": {"patch": one}} for one in PATCHES], images)
        lime = evaluated(client, [{"lime_protocol": protocol}], images, EXAMPLES / "masks")
    print(features_table(features), lime_table(lime), sep="\n\n")
    cv2.imwrite(str(arguments.picture), picture(features))


if __name__ == "__main__":
    main()
