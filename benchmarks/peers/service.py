"""Heatproof as a user has it: a server that runs, asked over gRPC, with nothing looked up."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers.given import Given
from benchmarks.service.uncached import UNCACHED
from heatproof.client import Client


@dataclass(slots=True)
class Service:
    """A network on a running server, and images that are sent with every question.

    Attributes:
        client: connected to the server.
        model: the network's file.
        preprocessing: how pixels become its input.
        given: images and maps.
        predictions: that the last question about scores needed.
    """

    client: Client
    model: bytes
    preprocessing: dict[str, Any]
    given: Given
    predictions: int = 0

    def scores(self, metric: dict[str, Any], removal: str | dict[str, Any]) -> np.ndarray:
        """The score of every image, of the given maps."""
        return self._scored(
            metrics=[metric], explainers=["supplied"], removals=[removal], maps=self.given.maps
        )

    def scores_of(self, metric: dict[str, Any], explainer: str) -> np.ndarray:
        """The score of every image, of the maps of an explainer."""
        return self._scored(metrics=[metric], explainers=[explainer])

    def areas(self, metrics: list[dict[str, Any]], removal: str) -> np.ndarray:
        """The scores of several metrics of the given maps [images, metrics]."""
        return self._scored(
            metrics=metrics, explainers=["supplied"], removals=[removal], maps=self.given.maps
        )

    def maps(self, explainer: dict[str, Any]) -> np.ndarray:
        """The map of every image."""
        found = self.client.explain(
            self.model,
            self.given.files,
            preprocessing=self.preprocessing,
            explainers=[explainer],
            **UNCACHED,
        )
        return np.stack([one.values for one in found])

    def _scored(self, **question: Any) -> np.ndarray:  # noqa: ANN401  # as the client takes it
        report = self.client.evaluate(
            self.model, self.given.files, preprocessing=self.preprocessing, **question, **UNCACHED
        )
        self.predictions = report.evaluation.progress.predictions_done
        return np.array([[one.score.value for one in image.scores] for image in report.images])
