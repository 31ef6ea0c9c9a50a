"""Maps and how far they move, in Quantus, Captum and torch."""

from collections.abc import Callable

import numpy as np
import quantus
import torch
from captum.metrics import sensitivity_max
from torch.nn import functional

from benchmarks.peers.comparing import CORRELATED, DRAWN, Contest
from benchmarks.peers.curves import classes
from benchmarks.peers.given import SIDE
from benchmarks.peers.networks import Network
from benchmarks.peers.service import Service
from tests.peers.metrics.robustness import for_quantus, saliency

RADIUS = 0.02
BATCH = 16
GRID = 7
VISIBLE = 0.5


def quantus_sensitivity(network: Network, service: Service, draws: int) -> Contest:
    """The largest change of saliency maps under noise."""
    given = service.given
    top = np.array(classes(network, given))
    peer = quantus.MaxSensitivity(
        nr_samples=draws,
        lower_bound=RADIUS,
        return_nan_when_prediction_changes=False,
        disable_warnings=True,
        abs=False,
        normalise=False,
    )

    def theirs() -> np.ndarray:
        maps = for_quantus(network.torch, given.pixels, top)
        found = peer(
            model=network.torch,
            x_batch=given.pixels.copy(),
            y_batch=top,
            a_batch=maps,
            explain_func=for_quantus,
            channel_first=True,
            softmax=False,
        )
        return np.array(found)[:, None]

    return _sensitivity(network, service, draws, "Quantus `MaxSensitivity`", theirs)


def captum_sensitivity(network: Network, service: Service, draws: int) -> Contest:
    """The same by Captum, all images at once."""
    given = service.given
    top = np.array(classes(network, given))

    def explained(images: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        x = images[0] if isinstance(images, tuple) else images
        return (saliency(network.torch, x, np.repeat(top, len(x) // len(top)))[:, None],)

    def theirs() -> np.ndarray:
        found = sensitivity_max(
            explained,
            torch.from_numpy(given.pixels.copy()),
            perturb_radius=RADIUS,
            n_perturb_samples=draws,
            max_examples_per_batch=BATCH,
        )
        return found.double().numpy()[:, None]

    return _sensitivity(network, service, draws, "Captum `sensitivity_max`", theirs)


def _sensitivity(
    network: Network, service: Service, draws: int, peer: str, theirs: Callable[[], np.ndarray]
) -> Contest:
    gradients = service.given.count * (draws + 1)
    return Contest(
        f"max-sensitivity of saliency, {service.given.count} images, {draws} draws",
        peer,
        theirs,
        lambda: service.scores_of(
            {"max_sensitivity": {"draws": draws, "radius": RADIUS}}, "saliency"
        ),
        network.name,
        lambda: {"gradient": gradients, "plain": service.predictions - gradients},
        DRAWN,
    )


def rise(network: Network, service: Service, masks: int) -> Contest:
    """RISE as its authors' code has it."""
    given = service.given

    def theirs() -> np.ndarray:
        tops = classes(network, given)
        return np.stack(
            [
                _rise(network, pixels, top, masks)
                for pixels, top in zip(given.pixels, tops, strict=True)
            ]
        )

    return Contest(
        f"RISE, {given.count} images, {masks} masks",
        f"torch, batches of {BATCH}",
        theirs,
        lambda: service.maps({"rise": {"masks": masks, "grid": GRID}}),
        network.name,
        lambda: {"plain": given.count * (masks + 1)},
        CORRELATED,
    )


def _rise(network: Network, pixels: np.ndarray, top: int, masks: int) -> np.ndarray:
    x, shown = torch.from_numpy(pixels)[None], _smooth_masks(masks)
    with torch.no_grad():
        scores = torch.cat(
            [torch.softmax(network.torch(x * part), 1)[:, top] for part in shown.split(BATCH)]
        )
    weighted = (scores[:, None, None] * shown[:, 0]).mean(dim=0)
    return (weighted / VISIBLE).double().numpy()


def _smooth_masks(masks: int) -> torch.Tensor:
    """Coarse grids at random, enlarged and shifted by less than a cell [masks, 1, side, side]."""
    generator, cell = torch.Generator().manual_seed(0), -(-SIDE // GRID)
    coarse = (torch.rand(masks, 1, GRID, GRID, generator=generator) < VISIBLE).float()
    size = (GRID + 1) * cell
    fine = functional.interpolate(coarse, size=(size, size), mode="bilinear")
    shifts = torch.randint(0, cell, (masks, 2), generator=generator).tolist()
    cut = [one[:, y : y + SIDE, x : x + SIDE] for one, (y, x) in zip(fine, shifts, strict=True)]
    return torch.stack(cut)
