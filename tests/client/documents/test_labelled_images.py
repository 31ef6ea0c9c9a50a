from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from heatproof.client import AnnotationSources, Client, LabelledImages, UsageError
from heatproof.client.documents.images import collect
from tests.client import fakes
from tests.client.canned import png
from tests.client.clients.flows.test_evaluations import QUESTION

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 4), np.uint8)
"""Five images [channels, height, width]."""

LABELS = [4, 0, 2, 1, 3]


def sent(held: LabelledImages) -> list[Any]:
    """The arrays that would be uploaded."""
    messages = [image.load() for image in collect(held.images)]
    return [
        np.frombuffer(message.pixels.data, np.uint8).reshape(message.pixels.shape)
        for message in messages
    ]


def tensors() -> TensorDataset:
    return TensorDataset(torch.from_numpy(PIXELS), torch.tensor(LABELS))


@pytest.mark.parametrize(
    "source",
    [
        [(image, label) for image, label in zip(PIXELS, LABELS, strict=True)],
        [{"image": image, "label": label} for image, label in zip(PIXELS, LABELS, strict=True)],
        tensors(),
        DataLoader(tensors(), batch_size=2),
    ],
    ids=["pairs", "rows", "data set of torch", "loader"],
)
def test_images_and_labels_come_out_as_they_lie_in_what_holds_them(source: Any) -> None:
    held = LabelledImages.of(source, layout="CHW")

    assert held.labels == LABELS
    np.testing.assert_array_equal(sent(held), PIXELS.transpose(0, 2, 3, 1))


def test_the_layout_is_what_is_said() -> None:
    last = PIXELS.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(sent(LabelledImages.of(last)), last)
    # Of three rows either layout would do.
    square = np.arange(27, dtype=np.uint8).reshape(1, 3, 3, 3)
    assert sent(LabelledImages.of(square, layout="CHW"))[0][0, 0].tolist() == [0, 9, 18]
    assert sent(LabelledImages.of(square))[0][0, 0].tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="known: HWC, CHW"):
        LabelledImages.of(last, layout="NCHW")


def test_no_more_is_read_than_is_asked_for() -> None:
    def endless() -> Any:
        while True:
            yield PIXELS[0], 1

    assert LabelledImages.of(endless(), layout="CHW", limit=3).labels == [1, 1, 1]


def test_columns_of_rows_have_the_names_that_are_said() -> None:
    rows = [{"img": Image.new("RGB", (4, 4)), "fine_label": 7}]
    held = LabelledImages.of(rows, image="img", label="fine_label")
    assert held.labels == [7]
    assert LabelledImages.of(rows, image="img").labels is None
    with pytest.raises(UsageError, match="has no 'image' but img, fine_label"):
        LabelledImages.of(rows)


def test_labels_of_some_images_are_refused() -> None:
    rows = [{"image": PIXELS[0], "label": 1}, {"image": PIXELS[1]}]
    with pytest.raises(UsageError, match="1 of 2 images have a label"):
        LabelledImages.of(rows, layout="CHW")


@pytest.mark.parametrize("label", ["cat", object()])
def test_a_label_that_is_no_index_is_refused(label: object) -> None:
    with pytest.raises(UsageError, match="is no index of a class"):
        LabelledImages.of([{"image": PIXELS[0], "label": label}], layout="CHW")


def test_nothing_is_no_set_of_images() -> None:
    with pytest.raises(UsageError, match="no images"):
        LabelledImages.of([])


def test_a_tensor_is_an_image_and_its_axes_are_told_where_they_are_others() -> None:
    tensor = torch.rand(6, 4, 3, requires_grad=True)
    (image,) = collect([tensor])
    assert image.load().pixels.shape == [6, 4, 3]
    with pytest.raises(UsageError, match=r"transpose\(1, 2, 0\)"):
        collect([torch.rand(3, 6, 4)])[0].load()


def test_maps_may_be_tensors_on_a_graph() -> None:
    tensor = torch.rand(4, 4, requires_grad=True)
    known = AnnotationSources(maps=[tensor]).read(collect([png()]))  # type: ignore[list-item]
    values = np.frombuffer(known.maps[0][0].values.data, "<f4").reshape(4, 4)
    np.testing.assert_array_equal(values, tensor.detach().numpy())


def test_sets_of_maps_are_sent_by_name_and_each_is_scored(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    images = [png(grey=grey) for grey in (1, 2)]
    sets = {
        "captum_ig": [np.full((4, 4), 1.0), np.full((4, 4), 2.0)],
        "gradcam": {"image-0001": np.full((2, 2), 3.0), "image-0002": np.full((2, 2), 4.0)},
    }
    client.evaluate(model_file, images, maps=sets, **QUESTION)

    asked = script.calls["CreateEvaluation"][0].spec.explainers
    assert [one.supplied.map_name for one in asked] == ["", "captum_ig", "gradcam"]
    assert asked[0].WhichOneof("explainer") == "grad_cam"
    second = {one.name: one.values for one in script.images[1].attribution_maps}
    assert {name: np.frombuffer(held.data, "<f4")[0] for name, held in second.items()} == {
        "captum_ig": 2.0,
        "gradcam": 4.0,
    }


def test_a_set_that_is_asked_for_is_not_asked_for_twice(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    question = {**QUESTION, "explainers": ["supplied:map_name=mine"]}
    client.evaluate(model_file, png(), maps={"mine": [np.ones((4, 4))]}, **question)
    asked = script.calls["CreateEvaluation"][0].spec.explainers
    assert [one.supplied.map_name for one in asked] == ["mine"]


def test_choices_have_parameters_as_on_the_command_line_and_may_stand_alone(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    client.evaluate(
        model_file,
        png(),
        preprocessing="imagenet",
        metrics="deletion:grid=7",
        explainers="rise:masks=500",
        removals="black",
    )
    spec = script.calls["CreateEvaluation"][0].spec
    assert spec.metrics[0].deletion.grid == 7
    assert spec.explainers[0].rise.masks == 500
    with pytest.raises(UsageError, match=r"did you mean 'metrics\[0\]\.deletion\.grid'"):
        client.evaluate(model_file, png(), preprocessing="imagenet", metrics="deletion:gird=7")
