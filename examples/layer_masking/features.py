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
from compare import COLOURS, EXAMPLES, HERE, cell, labelled_photographs

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
    width, height, left, top, span, tall = 620, 400, 70, 40, 400, 290
    canvas = np.full((height, width, 3), 255, np.uint8)
    lengths = {
        operator: [relative_magnitude(linearity(report, operator, patch)) for patch in PATCHES]
        for operator in OPERATORS
    }
    highest = 1.1 * max(1.0, *(length for line in lengths.values() for length in line))

    def write(text: str, at: tuple[int, int], colour: tuple[int, int, int] = (40, 40, 40)) -> None:
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

    def pixel(patch: int, length: float) -> tuple[int, int]:
        return left + round(patch / 120 * span), top + round((1 - length / highest) * tall)

    for tick in np.arange(0, highest, 0.25):
        cv2.line(canvas, pixel(0, tick), pixel(120, tick), (225, 225, 225), 1)
        write(f"{tick:.2f}", (left - 42, pixel(0, tick)[1] + 5))
    for patch in PATCHES:
        write(f"{patch}", (pixel(patch, 0)[0] - 10, top + tall + 20))
    for place, operator in enumerate(OPERATORS):
        points = [pixel(*point) for point in zip(PATCHES, lengths[operator], strict=True)]
        cv2.polylines(canvas, [np.array(points)], False, COLOURS[operator], 2, cv2.LINE_AA)  # noqa: FBT003  # open
        write(operator, (left + span + 50, top + 20 + 24 * place), COLOURS[operator])
        at = (left + span + 20, top + 15 + 24 * place)
        cv2.line(canvas, at, (at[0] + 24, at[1]), COLOURS[operator], 2)
    write("side of the only visible patch in pixels", (left + 70, top + tall + 45))
    write("length of the features, over that of the whole image", (left, top - 15))
    return canvas


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
