"""Evaluations as things, over a real server."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from heatproof.client import Client, InvalidArgumentError
from tests.system.evaluations.colour_server import Evaluating, network, square

QUESTION: dict[str, Any] = {
    "preprocessing": {"resize": "none"},
    "metrics": [{"insertion": {"grid": 4, "steps": 4}}, "complexity"],
    "explainers": ["grad_cam", "random"],
    "removals": ["black", "blur"],
    "seed": 3,
}

KERNEL = """
import sys
from heatproof.client import Client

with Client.connect(sys.argv[1]) as client:
    handle = client.submit(
        sys.argv[2], sys.argv[3], preprocessing={"resize": "none"}, metrics=["complexity"],
        explainers=["grad_cam"],
    )
sys.stdout.write(handle.name)
"""


def test_an_estimate_names_the_results_and_bounds_the_predictions(served: Evaluating) -> None:
    with Client.connect(served.address) as client:
        estimate = client.estimate([served.sound, served.crippled], served.dataset, **QUESTION)
        before = {handle.name for handle in client.evaluations()}
        report = client.evaluate([served.sound, served.crippled], served.dataset, **QUESTION)

    assert report.evaluation.name not in before
    assert estimate.images == 12
    assert estimate.predictions >= report.evaluation.progress.predictions_done > 0
    planned = estimate.to_pandas()
    own = planned.pop("predictions").tolist()
    scored = report.to_pandas()[list(planned.columns)]
    assert len(planned) == 2 * (2 * 2 + 2)
    assert planned.to_numpy().tolist() == scored.to_numpy().tolist()
    assert own == 2 * [*4 * [12 * 3], 0, 0]  # the last of four steps shows the clean image
    assert estimate.predictions == estimate.shared_predictions + sum(own)
    assert estimate.sampling == report.evaluation.sampling
    assert [one.direction for one in estimate.planned] == [one.direction for one in report.results]
    assert not any(one.HasField("summary") for one in estimate.planned)
    assert estimate.spec == report.evaluation.spec


def test_an_estimate_refuses_what_an_evaluation_would(served: Evaluating) -> None:
    with (
        Client.connect(served.address) as client,
        pytest.raises(InvalidArgumentError, match="removal"),
    ):
        client.estimate(served.sound, served.dataset, **{**QUESTION, "removals": []})


def test_a_kernel_that_has_ended_leaves_a_name_that_gives_the_results(served: Evaluating) -> None:
    command = [sys.executable, "-c", KERNEL, served.address, served.sound, served.dataset]
    name = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout

    with Client.connect(served.address) as client:
        report = client.evaluation(name).result(timeout=60)
        client.evaluation(name).delete()

    assert len(report.images) == 12
    assert report.models[0].name == served.sound


def test_what_is_cancelled_on_the_way_keeps_what_it_has(served: Evaluating) -> None:
    with Client.connect(served.address) as client:
        slow = {**QUESTION, "metrics": [{"insertion": {"grid": 32, "steps": 1000}}]}
        handle = client.submit(network(7), served.dataset, **slow)
        handle.cancel()
        message = handle.watch(timeout=60)
        report = handle.result(partial=True, timeout=60)

    assert handle.state == "cancelled"
    assert len(report.images) == message.progress.images_done


def test_sets_of_maps_score_as_each_does_alone(served: Evaluating) -> None:
    maps = {
        name: [np.random.default_rng(at + seed).random((32, 32)) for at in range(4)]
        for seed, name in ((0, "first"), (9, "second"))
    }
    images = [square(seed) for seed in range(4)]
    question = {**QUESTION, "explainers": [], "removals": ["black"]}
    with Client.connect(served.address) as client:
        together = client.evaluate(served.sound, images, maps=maps, **question)
        alone = [
            client.evaluate(
                served.sound, images, maps=one, **{**question, "explainers": ["supplied"]}
            )
            for one in maps.values()
        ]

    assert len(together.results) == 4
    for at, held in enumerate(alone):
        mine = [
            one for one in together.results if one.explainer.supplied.map_name == list(maps)[at]
        ]
        assert [one.summary for one in mine] == [one.summary for one in held.results]
    assert mine[0].summary.value != alone[0].results[0].summary.value
