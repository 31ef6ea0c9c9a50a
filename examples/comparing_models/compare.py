"""Compares networks of planted explanation quality: by raw deletion, and by what corrects it.

    python -m examples.comparing_models.compare

Run in the root of the repository, with the extra `server`. Each panel of 16 networks is evaluated
on images of its own. Printed are the scores of the first panel and, over all panels, Spearman's
correlation of each score with the planted quality and with what the networks bear of occlusion;
`ranking.png` beside this file shows both.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from scipy import stats

from examples.comparing_models.drawing import Scatter, drawn
from examples.comparing_models.planted import CELL, DISPLACEMENTS, MIX_NAMES, SCALE
from examples.shapes import shapes
from heatproof.client import Client, Report
from heatproof.v1.results_pb2 import MetricResult

HERE: Final = Path(__file__).parent
NETWORKS: Final = HERE / "networks"
IMAGES: Final = 10
GRIDS: Final[Mapping[str, int]] = MappingProxyType({"black": 8, "mean": 8, "layer": 4})
"""Cells a side by removal operator: in a masked network, cells under 16 pixels vanish."""
STEPS: Final = 8
SCORES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "deletion": -1,
        "insertion": 1,
        "occlusion_robustness": 1,
        "occlusion_corrected_deletion": 1,
        "quality": 1,
        "single_deletion_correlation": 1,
        "explanation_consistency": 1,
        "pointing_game": 1,
    }
)
"""What is ranked, and 1 where higher is better; `quality` is that of `inter_model_deletion`."""
RESAMPLES: Final = 2000

Scores = Mapping[str, np.ndarray]
"""Scores of the networks of a panel by name, each [networks]."""


@dataclass(frozen=True)
class Panel:
    """Networks that are compared.

    Attributes:
        names: of their files, without suffix.
        quality: planted: 0 is best, and -1, -2 and -3 are displaced by as many cells.
    """

    names: tuple[str, ...]
    quality: np.ndarray

    @classmethod
    def of(cls, seed: int) -> "Panel":
        """The panel that `train.py` has written."""
        kinds = [(name, moved) for name in MIX_NAMES for moved in DISPLACEMENTS]
        names = tuple(f"{name}-{CELL * moved}px-{seed}" for name, moved in kinds)
        return cls(names, -np.array([moved for _, moved in kinds]))

    @property
    def files(self) -> list[Path]:
        """ONNX."""
        return [NETWORKS / f"{name}.onnx" for name in self.names]


def metrics(grid: int) -> Iterator[dict[str, dict[str, object]]]:
    """All metrics, curves over equal cells."""
    yield from (
        {name: {"grid": grid, "steps": STEPS}}
        for name in (
            "deletion",
            "insertion",
            "occlusion_robustness",
            "occlusion_corrected_deletion",
            "inter_model_deletion",
        )
    )
    yield {"single_deletion_correlation": {"regions": {"grid": {"side": grid}}}}
    yield {"explanation_consistency": {"background": "object"}}
    yield {"pointing_game": {"tolerance": 0}}


def evaluated(client: Client, panel: Panel, seed: int, removal: str) -> Report:
    """All metrics of a panel, of the class that each image is labelled with."""
    data = shapes(IMAGES, 0, 1000 * seed + 2, scale=SCALE)
    return client.evaluate(
        panel.files,
        list(data.images),
        preprocessing="unit",
        metrics=list(metrics(GRIDS[removal])),
        explainers=["grad_cam"],
        removals=[removal],
        labels=data.labels.tolist(),
        masks=list(data.masks),
        target="label",
    )


def results(report: Report, metric: str) -> list[MetricResult]:
    """The results of a metric, in the order of the models."""
    return [one for one in report.results if one.metric.WhichOneof("metric") == metric]


def scores(report: Report) -> Scores:
    """What is ranked."""
    (across,) = results(report, "inter_model_deletion")
    found = {
        name: np.array([one.summary.value for one in results(report, name)])
        for name in SCORES
        if name != "quality"
    }
    places = range(len(report.models))
    qualities = [across.parts[f"quality[{place}]"].value for place in places]
    return {**found, "quality": np.array(qualities)}


def table(panel: Panel, found: Scores) -> str:
    """The scores of a panel in Markdown, a row a network."""
    rows = [("network", *(name.replace("_", " ") for name in SCORES))]
    for place, name in enumerate(panel.names):
        rows.append((name, *(f"{found[score][place]:.2f}" for score in SCORES)))
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows under a heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def correlation(planted: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> str:
    """Spearman's correlation, mean over panels, with its 95 % interval.

    Bootstrap over networks: those of each panel are drawn anew with replacement.
    """
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = [rng.integers(len(panel), size=len(panel)) for panel in found]
        resampled.append(_mean_spearman(planted, found, drawn))
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    every = [np.arange(len(panel)) for panel in found]
    return f"{_mean_spearman(planted, found, every):.2f} [{low:.2f}, {high:.2f}]"


def _mean_spearman(
    planted: Sequence[np.ndarray], found: Sequence[np.ndarray], chosen: Sequence[np.ndarray]
) -> float:
    panels = zip(planted, found, chosen, strict=True)
    return float(
        np.mean([stats.spearmanr(one[at], other[at]).statistic for one, other, at in panels])
    )


def rankings(panels: Sequence[Panel], found: Sequence[Scores]) -> str:
    """Each score, better networks first, against quality and against what networks bear."""
    qualities = [panel.quality for panel in panels]
    borne = [one["occlusion_robustness"] for one in found]
    rows = [("ranked by", "with planted quality", "with occlusion robustness")]
    for name, sign in SCORES.items():
        ranked = [sign * one[name] for one in found]
        rows.append(
            (name.replace("_", " "), correlation(qualities, ranked), correlation(borne, ranked))
        )
    return markdown(rows)


def points(panels: Sequence[Panel], found: Sequence[Scores], score: str) -> Scatter:
    """A score over occlusion robustness, a colour a displacement."""
    return Scatter(
        score.replace("_", " "),
        np.concatenate([one["occlusion_robustness"] for one in found]),
        np.concatenate([one[score] for one in found]),
        -np.concatenate([panel.quality for panel in panels]),
    )


def main() -> None:
    """Prints the tables and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="panels")
    parser.add_argument("--picture", type=Path, default=HERE / "ranking.png", help="where to")
    arguments = parser.parse_args()
    panels = [Panel.of(seed) for seed in range(arguments.seeds)]
    drawn_of: list[Scatter] = []
    with Client.embedded() as client:
        for removal in GRIDS:
            found = [
                scores(evaluated(client, panel, seed, removal)) for seed, panel in enumerate(panels)
            ]
            print(f"\n{removal}, first panel\n\n{table(panels[0], found[0])}")
            print(f"\n{removal}, {len(panels)} panels\n\n{rankings(panels, found)}", flush=True)
            drawn_of += [points(panels, found, score) for score in ("deletion", "quality")]
    legend = [f"displaced by {CELL * moved} pixels" for moved in DISPLACEMENTS]
    cv2.imwrite(str(arguments.picture), drawn(drawn_of[:2], legend, "occlusion robustness"))


if __name__ == "__main__":
    main()
