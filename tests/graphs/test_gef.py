"""Generalized explanation faithfulness over ONNX Runtime: torch as oracle, shared maps."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from scipy.stats import spearmanr

from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import Gef
from heatproof.evaluators.queries.passes import WeightNoise
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.randomization import layers_of, randomized
from tests.graphs.test_changing_maps import NCHW, drawing, evaluated

Parse = Callable[[str], onnx.ModelProto]
METRIC = Gef(levels=4, draws=3, largest_deviation=0.5)


def canonical_of(text: onnx.ModelProto) -> ir.Model:
    return canonicalize(ir.from_proto(text), PRESETS["unit"]).model


def in_torch(model: ir.Model, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the gradients of all of them: [classes], [classes, 3, H, W]."""
    kernel, matrix = (
        torch.from_numpy(_weights(node).astype(np.float64))
        for node in model.graph
        if node.name in layers_of(model)
    )

    def logits(x: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(torch.conv2d(x[None], kernel, stride=2, padding=1))
        return seen.mean(dim=(2, 3))[0] @ matrix.T

    return logits(image), torch.autograd.functional.jacobian(logits, image)


def _weights(node: ir.Node) -> np.ndarray:
    value = node.inputs[1]
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def test_the_score_is_that_of_torch_with_the_same_noised_weights(text_model: Parse) -> None:
    source = text_model(NCHW)
    model = canonical_of(source)
    (result,), _ = evaluated(source, (METRIC,), [3], (Saliency(),))
    image = torch.from_numpy(drawing(3).transpose(2, 0, 1) / 255.0)
    clean, jacobian = in_torch(model, image)
    top = int(clean.argmax())

    def unit_map(jacobian: torch.Tensor) -> torch.Tensor:
        seen = jacobian[top].abs().amax(dim=0)
        return seen / seen.pow(2).mean().sqrt()

    model_ways, map_ways = np.zeros((3, 4)), np.zeros((3, 4))
    for draw in range(3):
        for level, deviation in enumerate(np.linspace(0.001, 0.5, 4).tolist()):
            noise = WeightNoise(deviation, draw)
            logits, moved = in_torch(randomized(model, layers_of(model), 0, noise), image)
            model_ways[draw, level] = abs(logits[top] - clean[top])
            map_ways[draw, level] = torch.linalg.norm(unit_map(moved) - unit_map(jacobian))
    found = [spearmanr(*pair).statistic for pair in zip(model_ways, map_ways, strict=True)]
    score = result.scores[0]
    assert score.score == pytest.approx(np.mean(found), abs=1e-9)
    for name, ways in (("model", model_ways), ("map", map_ways)):
        shares = ways / np.sqrt((ways**2).mean(axis=1, keepdims=True))
        assert score.curves[name].values == pytest.approx(shares.mean(axis=0), rel=2e-3)


def test_noised_maps_of_two_metrics_are_made_once(text_model: Parse) -> None:
    source = text_model(NCHW)
    few, many = METRIC, Gef(levels=4, draws=5, largest_deviation=0.5)
    (alone,), rows_alone = evaluated(source, (many,), [3], (Saliency(),))
    (both,), rows_both = evaluated(source, (few, many), [3], (Saliency(),))
    assert rows_both == rows_alone
    assert both.scores[1].score == alone.scores[0].score
