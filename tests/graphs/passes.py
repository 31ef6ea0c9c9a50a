"""Single passes of a predictor, asked for one batch and awaited."""

import numpy as np

from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch, Predictor
from heatproof.evaluators.removal import Masking, Mode


def logits(predictor: Predictor, images: np.ndarray) -> np.ndarray:
    return run(predictor, ModelPass(predictor.facts.model), Batch(images)).logits


def masked(
    predictor: Predictor, images: np.ndarray, masks: np.ndarray, mode: str = "reference"
) -> Answers:
    one = ModelPass(predictor.facts.model, masking=Masking(Mode(mode)))
    return run(predictor, one, Batch(images, masks))


def gradients(
    predictor: Predictor, images: np.ndarray, weights: np.ndarray, wrt: str = IMAGE
) -> Answers:
    one = ModelPass(predictor.facts.model, wrt=wrt)
    return run(predictor, one, Batch(images, output_gradients=weights))


def run(predictor: Predictor, one: ModelPass, batch: Batch) -> Answers:
    return predictor.submit(one, batch).result()
