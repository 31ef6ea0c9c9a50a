"""What evaluations over networks in ONNX Runtime start from: images, and models opened."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import (
    DonorImage,
    Frame,
    FramedBox,
    FramedMap,
    FramedMask,
    FramedPixels,
    SourceImage,
)
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.providers import Provider
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionCache

SIDE = 32


def drawing(seed: int) -> NDArray[np.uint8]:
    """A gradient with its own direction and colour, and some noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    plane = rng.random(3)[:, None, None] * rows + rng.random(3)[:, None, None] * columns
    drawn = 0.4 * plane + 0.2 * rng.random((3, SIDE, SIDE))
    return (255 * drawn).astype(np.uint8).transpose(1, 2, 0)


def known_image(seed: int, **changes: Any) -> SourceImage:
    """An image with all that may be known of it; its donors do not depend on its company."""
    first, second, third = (_donor(100 * seed + one) for one in (1, 2, 3))
    shown = np.hypot(*np.mgrid[-10 : SIDE - 10, -13 : SIDE - 13]) < 8
    image = SourceImage(
        f"{seed:064x}",
        f"{seed}.png",
        drawing(seed),
        label=1,
        object_mask=FramedMask(Frame.MODEL_INPUT, shown),
        boxes=(FramedBox(Frame.MODEL_INPUT, 5.0, 2.0, 21.0, 18.0),),
        attribution_maps={"": FramedMap(Frame.SOURCE, drawing(7).astype(np.float32)[..., 0])},
        donors=(first, second),
        same_label_donors=(first,),
        other_label_donors=(second, third),
        partner=first,
        leads_pair=True,
        replacement=FramedPixels(Frame.SOURCE, drawing(seed + 50)),
    )
    return replace(image, **changes)


def _donor(seed: int) -> DonorImage:
    return DonorImage(f"{seed:064x}", lambda: drawing(seed))


def opened(
    model: onnx.ModelProto,
    name: str,
    threads: int = 1,
    *,
    rows: int = 4,
    grouped: int = 0,
    composed: bool | None = None,
    provider: Provider = Provider.CPU,
) -> GraphPredictor:
    """The model, ready to run."""
    settings = SessionSettings(
        threads=threads, grouped=grouped, composed=composed, provider=provider
    )
    return GraphPredictor(
        canonicalize(ir.from_proto(model), PRESETS["unit"]),
        SessionCache(1 << 30, settings),
        model=name,
        batch_size=rows,
        cancellation=Cancellation(),
    )
