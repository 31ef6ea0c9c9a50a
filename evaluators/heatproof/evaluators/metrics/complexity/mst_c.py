"""MST-C: whether the most salient pixels lie close together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from jaxtyping import Float64

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.complexity.magnitudes import MagnitudeMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Reason, Undefined
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

Points = Float64[np.ndarray, "points 2"]


@METRICS.register
@dataclass(frozen=True, slots=True)
class MstC(MagnitudeMetric):
    """Takes how compact the most salient pixels lie, and how well they hang together.

    `100 diagonal (1 / sqrt(hull area)) (points / tree length)` of the pixels whose magnitude is at
    least the quantile: the area of their convex hull and the length of the minimum spanning tree of
    their symmetric nearest-neighbour graph. Where that graph falls apart, every pair of points is
    joined.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="mst_c",
        reference="Mesgari et al. 2026, arXiv 2603.29491",
        category=MetricCategory.COMPLEXITY,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    quantile: float = parameter(
        0.8, "Quantile of the magnitudes from which on pixels count.",
        within=Range(0, 1, upper_included=False),
    )  # fmt: skip
    neighbors: int = parameter(20, "Nearest neighbours of each pixel.", within=Range(1, 100))

    @property
    def reduction(self) -> Reduction:
        """The mean."""
        return Mean(NOT_NEGATIVE)

    def measured(self, magnitudes: Map) -> float | Undefined:
        """`100 diagonal points / (sqrt(hull area) tree length)`."""
        salient = magnitudes >= np.quantile(magnitudes, self.quantile)
        points = np.argwhere(salient).astype(np.float64)
        if np.linalg.matrix_rank(points - points[0]) < points.shape[1]:
            detail = "the most salient pixels are fewer than 3 or lie on a line"
            return Undefined(Reason.DEGENERATE, detail)
        area = scipy.spatial.ConvexHull(points).volume
        length = _tree_length(points, self.neighbors)
        return float(100 * np.hypot(*magnitudes.shape) * len(points) / (np.sqrt(area) * length))


def _tree_length(points: Points, neighbors: int) -> float:
    """Length of the minimum spanning tree of the graph of neighbours, or of all pairs."""
    graph = _neighbour_graph(points, min(neighbors, len(points) - 1))
    parts, _ = scipy.sparse.csgraph.connected_components(graph, directed=False)
    if parts > 1:
        # The triangulation holds a minimum spanning tree of all pairs.
        graph = _graph(points, _edges_of(scipy.spatial.Delaunay(points).simplices))
    return float(scipy.sparse.csgraph.minimum_spanning_tree(graph).sum())


def _neighbour_graph(points: Points, neighbors: int) -> "scipy.sparse.csr_array":
    """Joins each point to its nearest; scipy reads an edge of one direction as one of both."""
    _, nearest = scipy.spatial.KDTree(points).query(points, neighbors + 1)
    own = np.repeat(np.arange(len(points)), neighbors + 1)
    return _graph(points, np.column_stack((own, nearest.reshape(-1))))


def _edges_of(triangles: np.ndarray) -> np.ndarray:
    sides: Iterable[np.ndarray] = (triangles[:, pair] for pair in ((0, 1), (1, 2), (0, 2)))
    return np.unique(np.sort(np.concatenate(list(sides)), axis=1), axis=0)


def _graph(points: Points, edges: np.ndarray) -> "scipy.sparse.csr_array":
    edges = edges[edges[:, 0] != edges[:, 1]]
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    return scipy.sparse.coo_array(
        (lengths, (edges[:, 0], edges[:, 1])), shape=(len(points), len(points))
    ).tocsr()
