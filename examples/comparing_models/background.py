"""Finds networks that read the background by explanation consistency, where it can.

    python -m examples.comparing_models.background

Run in the root of the repository, with the extra `server`. Each panel's `plain-0px` network read
patches in training; `background` saw images whose background always told the class.
"""

import argparse
from typing import Final

import numpy as np

from examples.comparing_models.compare import NETWORKS, markdown
from examples.comparing_models.planted import SCALE
from examples.shapes import shapes
from heatproof.client import Client
from heatproof.v1.results_pb2 import MetricResult, Summary

IMAGES: Final = 60
READERS: Final = ("plain-0px", "background")
BACKGROUNDS: Final = ("map", "shared", "object")
PARTS: Final = ("flipped", "distance", "background_share", "control_random")


def evaluated(client: Client, seed: int) -> list[MetricResult]:
    """Explanation consistency of both networks on images whose background tells the class."""
    data = shapes(IMAGES, 1, 1000 * seed + 3, scale=SCALE)
    report = client.evaluate(
        [NETWORKS / f"{name}-{seed}.onnx" for name in READERS],
        list(data.images),
        preprocessing="unit",
        metrics=[{"explanation_consistency": {"background": one}} for one in BACKGROUNDS],
        explainers=["grad_cam"],
        labels=data.labels.tolist(),
        masks=list(data.masks),
    )
    return list(report.results)


def estimate(summary: Summary) -> str:
    """An estimate, where there is one."""
    return f"{summary.value:.3f}" if summary.HasField("value") else "none"


def cell(summary: Summary) -> str:
    """An estimate with its interval, where it has them."""
    if not summary.HasField("interval"):
        return estimate(summary)
    return f"{estimate(summary)} [{summary.interval.lower:.3f}, {summary.interval.upper:.3f}]"


def main() -> None:
    """Prints a row a panel, background and network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="panels")
    rows = [("panel", "background", "network", "consistency", *PARTS, "images")]
    with Client.embedded() as client:
        for seed in range(parser.parse_args().seeds):
            found = np.reshape(np.array(evaluated(client, seed), object), (len(READERS), -1))
            for place, background in enumerate(BACKGROUNDS):
                for reader, one in zip(READERS, found[:, place], strict=True):
                    parts = (estimate(one.parts[part]) for part in PARTS)
                    scored = str(one.summary.scored)
                    rows.append((str(seed), background, reader, cell(one.summary), *parts, scored))
    print(markdown([tuple(part.replace("_", " ") for part in rows[0]), *rows[1:]]))


if __name__ == "__main__":
    main()
