"""One small network in torch and in Heatproof, and the images and maps that all are asked about."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx_ir as ir
import torch

from heatproof.evaluators.explainers import EXPLAINERS, Explainer
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import METRICS, Case, Metric
from heatproof.evaluators.outcomes import Outcome, Undefined
from heatproof.evaluators.queries.procedure import Answer, Asked, LazyImage, Procedure
from heatproof.evaluators.queries.sample import Donation, Sample
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.removal import Black, RemovalOperator
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionCache
from tests.evaluators.toys import ask, case_of, sample_of
from tests.peers.inputs import CLASSES, IMAGES, MEAN, SIDE, STD, attribution, image, weights

T = TypeVar("T")

BATCH = 16


class Network(torch.nn.Module):
    """Preprocessing, two convolutions and a linear head over their means."""

    def __init__(self, seed: int = 0, sharpness: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.first_relu = torch.nn.ReLU()
        self.pool = torch.nn.MaxPool2d(2)
        self.second = torch.nn.Conv2d(8, 12, 3, padding=1)
        self.second_relu = torch.nn.ReLU()
        self.head = torch.nn.Linear(12, CLASSES)
        for name, value in weights(seed, sharpness).items():
            self.get_parameter(name).data.copy_(torch.from_numpy(value))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images in [0, 1]."""
        seen = self.first_relu(self.first((images - self.mean) / self.std))
        seen = self.second_relu(self.second(self.pool(seen)))
        return self.head(seen.mean(dim=(2, 3)))


class Probabilities(torch.nn.Module):
    """The probabilities of a network, for peers that read the model's answer as it is."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Softmax of the logits."""
        return torch.softmax(self.network(images), dim=1)


class OneChannel(torch.nn.Module):
    """A network of one grey channel, for peers that perturb values of channels, not pixels."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of an image whose three channels are the given one."""
        return self.network(images.expand(-1, 3, -1, -1))


def canonical_of(network: torch.nn.Module) -> CanonicalModel:
    """The network as a user's file becomes one."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "network.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, SIDE, SIDE),),
            path,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
        return canonicalize(ir.load(path), PRESETS["unit"])


def predictor_of(network: torch.nn.Module) -> GraphPredictor:
    """The same network in ONNX Runtime."""
    return running(canonical_of(network))


def running(canonical: CanonicalModel) -> GraphPredictor:
    """A predictor of a canonical model."""
    return GraphPredictor(
        canonical,
        SessionCache(1 << 30, SessionSettings(threads=1, log_severity=3)),
        model="models/network",
        batch_size=BATCH,
        cancellation=Cancellation(),
    )


@dataclass
class Bench:
    """What all comparisons share."""

    network: Network = field(default_factory=lambda: Network(0, 6.0))

    @cached_property
    def canonical(self) -> CanonicalModel:
        """The network as a user's file becomes one."""
        return canonical_of(self.network)

    @property
    def model(self) -> ir.Model:
        """Its graph."""
        return self.canonical.model

    @cached_property
    def predictor(self) -> GraphPredictor:
        """The network in ONNX Runtime."""
        return running(self.canonical)

    @cached_property
    def images(self) -> list[np.ndarray]:
        """Images in [.2, .8] [3, height, width]."""
        return [image(seed) for seed in range(IMAGES)]

    @cached_property
    def greys(self) -> list[np.ndarray]:
        """Images whose channels are equal."""
        return [image(seed, grey=True) for seed in range(IMAGES)]

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """Signed maps [height, width], one an image."""
        return [attribution(seed) for seed in range(IMAGES)]

    @cached_property
    def positive_maps(self) -> list[np.ndarray]:
        """Positive maps [height, width], one an image."""
        return [attribution(seed, signed=False) for seed in range(IMAGES)]

    @cached_property
    def objects(self) -> list[np.ndarray]:
        """Object masks [height, width], one an image."""
        return [attribution(seed + 50) > 0.05 * (seed + 1) for seed in range(IMAGES)]

    def tops(self, images: list[np.ndarray]) -> list[int]:
        """The class that the network predicts of each image."""
        return self.logits(np.stack(images)).argmax(axis=1).tolist()

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What torch answers."""
        with torch.no_grad():
            return self.network(torch.from_numpy(images)).double().numpy()

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Softmax of what torch answers."""
        with torch.no_grad():
            return torch.softmax(self.network(torch.from_numpy(images)).double(), 1).numpy()

    def case(
        self,
        pixels: np.ndarray,
        made: np.ndarray | None = None,
        *,
        removal: RemovalOperator | None = None,
        explainer: Explainer | None = None,
        objects: np.ndarray | None = None,
        donors: tuple[np.ndarray, ...] = (),
        target: int | None = None,
        seed: int = 0,
    ) -> Case:
        """An image to score; without a target its top class is explained."""
        found = case_of(
            self.predictor,
            pixels,
            made,
            removal=removal or Black(),
            explainer=explainer,
            object_mask=objects,
            seed=seed,
        )
        given = found.given
        sample = self.with_donors(found.sample, donors)
        if target is not None:
            sample = replace(sample, target=FixedClass(target))
        return replace(found, given=replace(given, sample=sample))

    def sample(
        self, pixels: np.ndarray, *, donors: tuple[np.ndarray, ...] = (), seed: int = 0
    ) -> Sample:
        """An image to explain."""
        return self.with_donors(sample_of(self.predictor, pixels, seed=seed), donors)

    @staticmethod
    def with_donors(sample: Sample, donors: tuple[np.ndarray, ...]) -> Sample:
        """The same image with other images of its data set."""
        given = tuple(Donation(f"{i:064x}", LazyImage.of(one)) for i, one in enumerate(donors))
        return replace(sample, donors=given)

    @staticmethod
    def with_map(case: Case, name: str, made: np.ndarray) -> Case:
        """The same with a map that came with the image."""
        sample = replace(case.sample, maps={name: made})
        return replace(case, given=replace(case.given, sample=sample))

    def outcome(self, metric: Metric, case: Case) -> Outcome:
        """What Heatproof says of an image."""
        return ask(metric.score(case), self.predictor)

    def score(self, metric: Metric, case: Case) -> float:
        """The score of an image, which must have one."""
        found = self.outcome(metric, case).score
        if isinstance(found, Undefined):
            message = f"{metric.name} has no score: {found}"
            raise TypeError(message)
        return found

    def spied(self, metric: Metric, case: Case) -> tuple[Outcome, list[Asked]]:
        """The same with everything that the metric asked."""
        seen: list[Asked] = []
        return ask(_spying(metric.score(case), seen), self.predictor), seen

    def spied_map(self, explainer: Explainer, sample: Sample) -> tuple[np.ndarray, list[Asked]]:
        """A map and everything that the explainer asked."""
        seen: list[Asked] = []
        return ask(_spying(explainer.explain(sample), seen), self.predictor), seen

    def explained(self, explainer: Explainer, sample: Sample) -> np.ndarray:
        """The map of an image, which must have one."""
        made = ask(explainer.explain(sample), self.predictor)
        if isinstance(made, Undefined):
            message = f"{explainer.name} has no map: {made}"
            raise TypeError(message)
        return made


def metric(name: str, **parameters: object) -> Metric:
    """A registered metric; choices may be given by their words."""
    return _made(METRICS[name], parameters)


def explainer(name: str, **parameters: object) -> Explainer:
    """A registered explainer; choices may be given by their words."""
    return _made(EXPLAINERS[name], parameters)


def _made(kind: type[T], parameters: Mapping[str, object]) -> T:
    defaults = {one.name: one.default for one in fields(kind)}
    chosen = {
        name: type(defaults[name])(value) if isinstance(defaults.get(name), StrEnum) else value
        for name, value in parameters.items()
    }
    return kind(**chosen)


def _spying(procedure: Procedure[T], seen: list[Asked]) -> Iterator[T]:
    answers: list[Answer] | None = None
    try:
        while True:
            queries = next(procedure) if answers is None else procedure.send(answers)
            seen.extend(queries)
            answers = yield queries
    except StopIteration as end:
        return end.value
