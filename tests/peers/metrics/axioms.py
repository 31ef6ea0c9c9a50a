"""Properties of a formula, beside Quantus'."""

import numpy as np
import quantus
import torch

from heatproof.evaluators.explainers import EXPLAINERS, IntegratedGradients
from heatproof.evaluators.removal import Black
from tests.peers.bench import Bench, Network, metric
from tests.peers.comparing import Pair, Shown, agrees, differs

QUIET = {"disable_warnings": True, "abs": False, "normalise": False}


@differs(
    "metric",
    "completeness",
    "quantus",
    "`Completeness` of integrated gradients with 1000 points, baseline 0.0",
    "the peer asks two sums of float32 to be equal bit for bit: it says False where Heatproof "
    "finds a gap under a thousandth and the part `complete` says 1",
)
def completeness(bench: Bench) -> Shown:
    kind = IntegratedGradients(steps=1000, baseline=Black())
    peer = quantus.Completeness(perturb_baseline=0.0, **QUIET)
    complete, theirs, gaps = [], [], []
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        made = bench.explained(kind, bench.sample(image))
        found = bench.outcome(metric("completeness"), bench.case(image, made, removal=Black()))
        complete.append(found.parts["complete"])
        gaps.append(found.score)
        answer = peer(
            model=bench.network,
            x_batch=image[None].copy(),
            y_batch=np.array([top]),
            a_batch=made[None, None].astype(np.float32),
            channel_first=True,
            softmax=False,
        )
        theirs.append(float(np.asarray(answer)[0]))
    return Shown((complete, theirs), all(complete) and not any(theirs) and max(gaps) < 1e-3)


class Unprepared(Network):
    """Begins with its convolution, to which the peer adds a shift that padding would upset."""

    def __init__(self) -> None:
        super().__init__(0, 6.0)
        self.mean.zero_()
        self.std.fill_(1.0)
        self.first.padding = (0, 0)


def times_image(model: torch.nn.Module, inputs: object, targets: object, **_: object) -> np.ndarray:
    """Gradient times image, as Quantus asks for it."""
    x = torch.as_tensor(np.asarray(inputs, np.float32)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[range(len(x)), np.asarray(targets)].sum(), x)
    return (gradient * x).sum(dim=1, keepdim=True).detach().double().numpy()


def gradient_alone(
    model: torch.nn.Module, inputs: object, targets: object, **_: object
) -> np.ndarray:
    """The largest absolute gradient, as Quantus asks for it."""
    x = torch.as_tensor(np.asarray(inputs, np.float32)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[range(len(x)), np.asarray(targets)].sum(), x)
    return gradient.abs().amax(dim=1, keepdim=True).double().numpy()


def shifting_all(arr: np.ndarray, input_shift: float, **_: object) -> np.ndarray:
    """The shift of an image of which the peer's own leaves the first value out."""
    return arr + np.float32(input_shift)


def invariances(bench: Bench, **options: object) -> tuple[list[float], list[float]]:
    """Heatproof's part and the peer's answer, for saliency and input times gradient."""
    other = Bench(Unprepared())
    kinds = {"saliency": gradient_alone, "input_x_gradient": times_image}
    ours, theirs = [], []
    for name, explain in kinds.items():
        kind = EXPLAINERS[name]()
        for image, top in zip(bench.images, other.tops(bench.images), strict=True):
            case = other.case(image, other.explained(kind, other.sample(image)), explainer=kind)
            ours.append(other.outcome(metric("input_invariance"), case).parts["invariant"])
            peer = quantus.InputInvariance(input_shift=-1, **options, **QUIET)
            answer = peer(
                model=other.network,
                x_batch=image[None].copy(),
                y_batch=np.array([top]),
                a_batch=explain(other.network, image[None], [top]),
                explain_func=explain,
                channel_first=True,
                softmax=False,
            )
            theirs.append(float(np.asarray(answer)[0]))
    return ours, theirs


@agrees(
    "metric",
    "input_invariance",
    "quantus",
    "`InputInvariance` with a shift of every value, -1, against the part `invariant`, of saliency "
    "and input x gradient",
    0.0,
)
def input_invariance(bench: Bench) -> Pair:
    return invariances(bench, perturb_func=shifting_all)


@differs(
    "metric",
    "input_invariance",
    "quantus",
    "`InputInvariance` as it is, shift -1, of saliency",
    "the peer leaves the first value of the image unshifted, and so finds saliency not invariant: "
    "with a shift of all of them it finds it invariant",
)
def input_invariance_as_it_is(bench: Bench) -> Shown:
    half = len(bench.images)
    ours, theirs = (side[:half] for side in invariances(bench))
    mended = invariances(bench, perturb_func=shifting_all)[1][:half]
    return Shown((ours, theirs), all(mended) and not any(theirs))
