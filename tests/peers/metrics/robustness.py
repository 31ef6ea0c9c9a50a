"""How far maps move when images do, beside Captum's and Quantus'."""

from collections.abc import Callable, Iterator

import numpy as np
import quantus
import torch
from captum.metrics import sensitivity_max
from quantus.functions import norm_func

from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.queries.procedure import MaskedView
from heatproof.evaluators.regions import Grid
from tests.peers.bench import Bench, metric
from tests.peers.comparing import KERNELS, Pair, agrees
from tests.peers.inputs import SIDE

DRAWS = 6
FED = "fed Heatproof's perturbed images, maps of saliency"
PIXELS = Grid(SIDE)


def saliency(network: torch.nn.Module, images: torch.Tensor, targets: object) -> torch.Tensor:
    """Largest absolute gradient of the logit of each pixel [images, height, width]."""
    x = images.detach().clone().requires_grad_()
    classes = torch.as_tensor(np.broadcast_to(np.asarray(targets), (len(x),)).copy())
    with torch.enable_grad():
        scores = network(x).gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(scores, x)
    return gradient.abs().amax(dim=1)


def for_quantus(model: torch.nn.Module, inputs: object, targets: object, **_: object) -> np.ndarray:
    """The same as Quantus asks for it [images, 1, height, width]."""
    x = torch.as_tensor(np.asarray(inputs, np.float32))
    return saliency(model, x, targets)[:, None].double().numpy()


def moved(bench: Bench, made: Metric, image: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Heatproof's score of an image and the images that it made of it."""
    kind = Saliency()
    case = bench.case(image, bench.explained(kind, bench.sample(image)), explainer=kind)
    found, asked = bench.spied(made, case)
    views = [one.image for one in asked if isinstance(one, MaskedView)]
    drawn = {one.key: one.draw() for one in views if one.key != case.sample.image.key}
    return float(found.score), list(drawn.values())


def fed(images: list[np.ndarray]) -> Callable[..., np.ndarray]:
    """A perturbation of Quantus that gives these images, one a call."""
    waiting: Iterator[np.ndarray] = iter(images)

    def perturb(arr: np.ndarray, **_: object) -> np.ndarray:
        return next(waiting).reshape(arr.shape)

    return perturb


def of_quantus(
    bench: Bench, image: np.ndarray, peer: object, network: torch.nn.Module | None = None
) -> float:
    """What a metric of Quantus says of one image."""
    network = network or bench.network
    top = np.array([int(bench.logits(image[None]).argmax())])
    found = peer(
        model=network,
        x_batch=image[None].copy(),
        y_batch=top,
        a_batch=for_quantus(network, image[None], top),
        explain_func=for_quantus,
        channel_first=True,
        softmax=False,
    )
    return float(np.asarray(found).reshape(-1)[0])


QUIET = {"disable_warnings": True, "abs": False, "normalise": False}
FLIPS_KEPT = {"return_nan_when_prediction_changes": False}


def beside_quantus(
    bench: Bench, made: Metric, kind: type, images: list[np.ndarray], **options: object
) -> Pair:
    """Heatproof's scores, and those of a metric of Quantus fed with the same images."""
    ours, theirs = [], []
    for image in images:
        score, drawn = moved(bench, made, image)
        peer = kind(
            nr_samples=len(drawn), perturb_func=fed(drawn), **{**QUIET, **FLIPS_KEPT, **options}
        )
        ours.append(score)
        theirs.append(of_quantus(bench, image, peer))
    return ours, theirs


@agrees("metric", "max_sensitivity", "captum", f"`sensitivity_max`, {FED}", KERNELS, "relative")
def max_sensitivity_of_captum(bench: Bench) -> Pair:
    made = metric("max_sensitivity", draws=DRAWS)
    ours, theirs = [], []
    for image in bench.images:
        score, drawn = moved(bench, made, image)
        top = int(bench.logits(image[None]).argmax())
        found = sensitivity_max(
            lambda x, top=top: (saliency(bench.network, _alone(x), top)[:, None],),
            torch.from_numpy(image[None].copy()),
            perturb_func=lambda *_, drawn=drawn: torch.from_numpy(np.stack(drawn)),
            n_perturb_samples=len(drawn),
        )
        ours.append(score)
        theirs.append(float(found[0]))
    return ours, theirs


def _alone(given: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return given[0] if isinstance(given, tuple) else given


NORMS = {"norm_numerator": norm_func.fro_norm, "norm_denominator": norm_func.fro_norm}


@agrees("metric", "max_sensitivity", "quantus", f"`MaxSensitivity`, {FED}", KERNELS, "relative")
def max_sensitivity_of_quantus(bench: Bench) -> Pair:
    made = metric("max_sensitivity", draws=DRAWS)
    return beside_quantus(bench, made, quantus.MaxSensitivity, bench.images, **NORMS)


@agrees("metric", "average_sensitivity", "quantus", f"`AvgSensitivity`, {FED}", KERNELS, "relative")
def average_sensitivity(bench: Bench) -> Pair:
    made = metric("average_sensitivity", draws=DRAWS)
    return beside_quantus(bench, made, quantus.AvgSensitivity, bench.images, **NORMS)


@agrees(
    "metric",
    "local_lipschitz",
    "quantus",
    f"`LocalLipschitzEstimate`, {FED}, each over its maximum",
    KERNELS,
    "relative",
)
def local_lipschitz(bench: Bench) -> Pair:
    made = metric("local_lipschitz", draws=DRAWS)
    kind = quantus.LocalLipschitzEstimate
    return beside_quantus(bench, made, kind, bench.images, normalise=True)


@agrees(
    "metric",
    "continuity",
    "quantus",
    "`Continuity` over shifts by eighths of both widths, images whose minimum is black",
    KERNELS,
    "relative",
)
def continuity(bench: Bench) -> Pair:
    """A shift by the whole width leaves the same black image to either side."""
    made = metric("continuity", reach=1.0)
    options = {**QUIET, **FLIPS_KEPT, "normalise": True}
    ours, theirs = [], []
    for image in bench.images:
        dark = image - image.min()
        ours.append(moved(bench, made, dark)[0])
        theirs.append(of_quantus(bench, dark, quantus.Continuity(nr_steps=8, **options)))
    return ours, theirs


def relative(bench: Bench, name: str, kind: type, **options: object) -> Pair:
    """A relative stability over pixels, flips kept."""
    parameters = {"draws": DRAWS, "flips": "keep", "regions": PIXELS}
    tensor = options.pop("tensor", None)
    made = metric(name, **parameters, **({} if tensor is None else {"tensor": tensor}))
    return beside_quantus(bench, made, kind, bench.images, **options)


@agrees(
    "metric",
    "relative_input_stability",
    "quantus",
    f"`RelativeInputStability`, {FED}, pixel by pixel",
    KERNELS,
    "relative",
)
def relative_input_stability(bench: Bench) -> Pair:
    return relative(bench, "relative_input_stability", quantus.RelativeInputStability)


@agrees(
    "metric",
    "relative_output_stability",
    "quantus",
    f"`RelativeOutputStability`, {FED}, pixel by pixel",
    KERNELS,
    "relative",
)
def relative_output_stability(bench: Bench) -> Pair:
    return relative(bench, "relative_output_stability", quantus.RelativeOutputStability)


@agrees(
    "metric",
    "relative_representation_stability",
    "quantus",
    f"`RelativeRepresentationStability`, {FED}, pixel by pixel, at the last convolution",
    KERNELS,
    "relative",
)
def relative_representation_stability(bench: Bench) -> Pair:
    return relative(
        bench,
        "relative_representation_stability",
        quantus.RelativeRepresentationStability,
        tensor=bench.predictor.facts.cam_tensor,
        layer_names=["second_relu"],
    )
