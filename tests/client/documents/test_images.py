from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from heatproof.client import AnnotationSources, PartialAnnotationsWarning, UsageError
from heatproof.client.documents.images import collect
from heatproof.v1.image_pb2 import FRAME_MODEL_INPUT, FRAME_SOURCE, Image
from heatproof.v1.tensor_pb2 import DATA_TYPE_FLOAT32, DATA_TYPE_UINT8
from tests.client.canned import png


def test_a_folder_stands_for_its_images_in_the_order_of_their_names(image_folder: Path) -> None:
    images = collect(image_folder)

    assert [image.name for image in images] == ["a.png", "b.png", "sub/c.png"]
    assert images[2].load().encoded == (image_folder / "sub/c.png").read_bytes()


def test_a_list_may_hold_every_kind_of_image(image_folder: Path) -> None:
    grey = np.full((2, 3, 3), 7, np.uint8)
    picture = PillowImage.fromarray(grey)

    loaded = [
        image.load()
        for image in collect(
            [image_folder / "a.png", png(), grey, grey / 255, picture, Image(encoded=b"x")]
        )
    ]

    assert loaded[0].encoded == loaded[0].encoded != b""
    assert loaded[1].encoded == png()
    assert (loaded[2].pixels.data_type, loaded[2].pixels.data) == (DATA_TYPE_UINT8, grey.tobytes())
    assert list(loaded[2].pixels.shape) == [2, 3, 3]
    assert loaded[3].pixels.data_type == DATA_TYPE_FLOAT32
    assert np.allclose(np.frombuffer(loaded[3].pixels.data, "<f4"), 7 / 255)
    assert loaded[4].encoded.startswith(b"\x89PNG")
    assert loaded[5].encoded == b"x"


def test_an_array_of_another_memory_order_keeps_its_pixels() -> None:
    channels_first = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    array = channels_first.transpose(1, 2, 0)

    sent = collect(array)[0].load().pixels

    assert np.array_equal(np.frombuffer(sent.data, np.uint8).reshape(sent.shape), array)


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (np.zeros((3, 4, 4), np.uint8), r"\[height, width, 3\]"),
        (np.zeros((4, 4), np.uint8), r"\[height, width, 3\]"),
        (np.zeros((4, 4, 3), np.int64), "uint8 or floats"),
        (np.full((4, 4, 3), 255.0), r"\[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"\[0, 1\]"),
        (np.full((4, 4, 3), -0.1), r"\[0, 1\]"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array: Any, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        collect(array)


def test_missing_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        collect(tmp_path / "gone.png")
    with pytest.raises(UsageError, match="holds no images"):
        collect(tmp_path)
    with pytest.raises(UsageError, match="no images"):
        collect([])


@pytest.mark.filterwarnings("ignore:. of 3 images have")
def test_labels_are_matched_by_path_file_name_or_stem(image_folder: Path, tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("file,label\na.png,3\nc.png,0\nof-another-set.png,9\n")

    known = AnnotationSources(labels=csv).read(collect(image_folder))

    assert known.labels == {0: 3, 2: 0}


def test_a_column_of_sets_holds_all_classes_of_an_image(image_folder: Path, tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    images = collect(image_folder)
    names = [image.name for image in images]
    csv.write_text(
        "file,labels,group\n"
        + "".join(
            f"{name},{held},x\n" for name, held in zip(names, (" 3 ;1", "", "7"), strict=True)
        )
    )
    known = AnnotationSources(labels=csv).read(images)
    made = [known.add(at, image.load()) for at, image in enumerate(images)]
    assert [tuple(one.labels.classes) for one in made] == [(3, 1), (), (7,)]
    assert all(one.HasField("labels") and not one.HasField("label") for one in made)
    listed = AnnotationSources(labels=[{2}, None, np.array([], np.int64)]).read(images)
    made = [listed.add(at, image.load()) for at, image in enumerate(images)]
    assert [one.HasField("labels") for one in made] == [True, False, True]


def test_a_column_of_groups_comes_with_labels_or_without(
    image_folder: Path, tmp_path: Path
) -> None:
    names = [image.name for image in collect(image_folder)]
    rows = [f"{name},{at},patient {at // 2}" for at, name in enumerate(names)]
    (tmp_path / "both.csv").write_text("file,label,group\n" + "\n".join(rows))
    bare = [f"{name},patient {at // 2}" for at, name in enumerate(names)]
    (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(bare))
    images = collect(image_folder)

    both = AnnotationSources(labels=tmp_path / "both.csv").read(images)
    alone = AnnotationSources(labels=tmp_path / "groups.csv").read(images)

    assert both.labels == {0: 0, 1: 1, 2: 2}
    assert alone.labels == {}
    assert both.groups == alone.groups == {0: "patient 0", 1: "patient 0", 2: "patient 1"}
    assert both.add(2, images[2].load()).group == "patient 1"
    listed = AnnotationSources(groups=["a", "a", "b"]).read(images)
    assert listed.groups == {0: "a", 1: "a", 2: "b"}


@pytest.mark.parametrize(
    "groups", [["a", None, "b"], ["a", "", "b"], {"a.png": "x"}], ids=["none", "empty", "named"]
)
def test_groups_of_some_images_only_are_refused(image_folder: Path, groups: Any) -> None:
    with pytest.raises(UsageError, match=r"has no group, and \d of 3 images have one"):
        AnnotationSources(groups=groups).read(collect(image_folder))


def test_groups_are_given_once(image_folder: Path, tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("file,group\na.png,x\n")
    with pytest.raises(UsageError, match="leave one of them out"):
        AnnotationSources(labels=csv, groups=["x", "y", "z"]).read(collect(image_folder))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("file,group\na.png,\n", "line 2 has no group"),
        ("file,label,group\na.png,1\n", "line 2 needs the columns `file,label,group`"),
        ("name,label\na.png,1\n", "line 2 needs the columns"),
        ("file,label\na.png,cat\n", "line 2: 'cat' is no class index"),
        ("file,label\na.png,-1\n", "no class index"),
        ("file,label\na.png,99999999999999999999\n", "no class index"),
        ("file;label\na.png;1\n", "separated by commas"),
        ("file,label\na.png,1\na.png,2\n", "line 3 labels 'a.png' a second time"),
        ("file,label\nx.png,1\n", "none of the 1 labels"),
        ("file,label\na.png,1;4\n", "call the column `labels`"),
        ("file,label\na.png,\n", "call the column `labels`"),
        ("file,labels\na.png,1\na.png,4\n", "in one line, as 1;4"),
        ("file,labels\na.png,1;;4\n", "no class indices"),
        ("file,labels\na.png,cat;dog\n", "'cat;dog' are no class indices"),
        ("file,label,labels\na.png,1,1;2\n", "the columns `label` and `labels`: keep"),
    ],
)
def test_wrong_labels_are_refused_with_their_line(
    image_folder: Path, tmp_path: Path, text: str, fault: str
) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text(text)

    with pytest.raises(UsageError, match=fault):
        AnnotationSources(labels=csv).read(collect(image_folder))


@pytest.mark.filterwarnings("ignore:. of 3 images have")
def test_boxes_come_as_a_file_with_a_row_a_box_or_as_rows_by_image(
    image_folder: Path, tmp_path: Path
) -> None:
    csv = tmp_path / "boxes.csv"
    csv.write_text("file,left,top,right,bottom\na.png,1,2,3.5,4\nc,0,0,9,9\na.png,5,6,7,8\n")
    images = collect(image_folder)

    read = AnnotationSources(boxes=csv).read(images)
    given = AnnotationSources(
        boxes=[np.array([[1, 2, 3.5, 4], [5, 6, 7, 8]]), [], [(0, 0, 9, 9)]],
        boxes_frame="model_input",
    ).read(images)

    assert [len(read.boxes[at]) for at in sorted(read.boxes)] == [2, 1]
    held = Image()
    read.add(0, held)
    corners = [(box.left, box.top, box.right, box.bottom) for box in held.boxes]
    assert corners == [(1, 2, 3.5, 4), (5, 6, 7, 8)]
    assert {box.frame for box in held.boxes} == {FRAME_SOURCE}
    assert [len(given.boxes[at]) for at in range(3)] == [2, 0, 1]
    assert given.boxes[2][0].frame == FRAME_MODEL_INPUT


@pytest.mark.filterwarnings("ignore:. of 3 images have")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("file,left,top,right\na.png,1,2,3\n", "line 2 needs the columns `file,left,top,right,bot"),
        ("file,left,top,right,bottom\na.png,1,2,x,4\n", "line 2: 'x' is no number"),
        ("file,left,top,right,bottom\na.png,1,2,3,4\nb.png,1\n", "line 3 needs"),
        ("file,left,top,right,bottom\n", "holds none"),
        ("file,left,top,right,bottom\nz.png,1,2,3,4\n", "none of the 1 boxes belongs"),
        ("file,left,top,right,bottom\na.png,1,2,nan,4\n", "'a.png' hold NaN"),
    ],
)
def test_wrong_boxes_are_refused_with_their_line(
    image_folder: Path, tmp_path: Path, text: str, fault: str
) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(UsageError, match=fault):
        AnnotationSources(boxes=tmp_path / "boxes.csv").read(collect(image_folder))


@pytest.mark.parametrize("rows", [[1, 2, 3, 4], [[1, 2, 3]], [["a", 1, 2, 3]], [[1], [1, 2]]])
def test_rows_that_are_no_boxes_are_refused(rows: Any) -> None:
    with pytest.raises(UsageError, match="'image-0001' must be rows of four numbers"):
        AnnotationSources(boxes=[rows]).read(collect([png()]))


@pytest.mark.filterwarnings("ignore:. of 3 images have")
def test_masks_are_sent_as_png_and_maps_as_float32(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(png(grey=255))
    np.save(tmp_path / "maps" / "b.npy", np.eye(3))
    images = collect(image_folder)

    known = AnnotationSources(masks=tmp_path / "masks", maps=str(tmp_path / "maps")).read(images)
    first = known.add(0, images[0].load())
    second = known.add(1, images[1].load())

    assert first.object_mask.encoded == png(grey=255)
    assert first.object_mask.frame == FRAME_SOURCE
    assert second.attribution_maps[0].frame == FRAME_MODEL_INPUT
    sent = np.frombuffer(second.attribution_maps[0].values.data, "<f4")
    assert np.array_equal(sent.reshape(3, 3), np.eye(3))


def test_annotations_may_be_given_one_an_image() -> None:
    images = collect([png(), png()])

    known = AnnotationSources(labels=[None, 5], masks=[np.eye(2), None]).read(images)

    assert known.labels == {1: 5}
    assert known.masks[0].mask.data == bytes([1, 0, 0, 1])
    with pytest.raises(UsageError, match="1 labels for 2 images"):
        AnnotationSources(labels=[1]).read(images)


@pytest.mark.parametrize("value", [0.37, np.nan, 2.0])
def test_an_object_mask_of_floats_is_0_or_1(value: float) -> None:
    mask = np.array([[0, 1], [value, 1]])
    with pytest.raises(
        UsageError, match=rf"'image-0002'.*{value:.6g} at row 1, column 0.*mask > 0.5"
    ):
        AnnotationSources(masks=[None, mask]).read(collect([png(), png()]))


def test_a_label_that_fits_two_images_is_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(png())

    with pytest.raises(UsageError, match="fit several images"):
        AnnotationSources(labels={"a.png": 1}).read(collect(tmp_path))


def test_an_array_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)

    with pytest.raises(UsageError, match="cannot read array"):
        collect(tmp_path)[0].load()


def test_an_unknown_frame_is_refused_with_the_known_ones(image_folder: Path) -> None:
    with pytest.raises(UsageError, match="source, model_input"):
        AnnotationSources(masks_frame="image").read(collect(image_folder))


@pytest.mark.parametrize(
    ("shape", "advice"),
    [((24, 24, 3), "channels last"), ((24, 24, 1), "channels last"), ((24,), "height, width")],
)
def test_a_map_of_another_layout_is_refused_with_advice(shape: Any, advice: str) -> None:
    images = collect([png()])
    sources = AnnotationSources(maps=[np.zeros(shape, np.float32)])

    with pytest.raises(UsageError, match=advice):
        sources.read(images)


@pytest.mark.parametrize("shape", [(24, 24), (1, 24, 24), (3, 24, 24), (2, 3, 3)])
def test_maps_with_or_without_channels_are_sent_as_they_are(shape: Any) -> None:
    known = AnnotationSources(maps=[np.ones(shape)]).read(collect([png()]))

    assert tuple(known.maps[0][0].values.shape) == shape


def test_a_map_that_is_not_finite_is_refused_by_the_name_of_its_image() -> None:
    with pytest.raises(UsageError, match=r"'image-0001'.*NaN"):
        AnnotationSources(maps=[np.full((4, 4), np.nan)]).read(collect([png()]))


def test_values_for_some_images_only_are_warned_of(image_folder: Path) -> None:
    with pytest.warns(PartialAnnotationsWarning, match=r"2 of 3 images have labels.*'b.png'"):
        known = AnnotationSources(labels={"a": 1, "c": 2}).read(collect(image_folder))

    assert known.labels == {0: 1, 2: 2}


def replaced(sources: AnnotationSources, images: Any) -> list[Image]:
    read = collect(images)
    known = sources.read(read)
    return [known.add(index, image.load()) for index, image in enumerate(read)]


def test_replacements_are_found_by_stem_whatever_kind_of_file_they_are(
    image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "painted"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.webp").write_bytes(b"a file of an image")
    np.save(folder / "b.npy", np.full((2, 3, 3), 7, np.uint8))
    (folder / "sub" / "c.PNG").write_bytes(png(grey=9))

    first, second, third = replaced(AnnotationSources(replacements=folder), image_folder)

    assert first.replacement.encoded == b"a file of an image"
    assert first.replacement.frame == FRAME_SOURCE
    assert second.replacement.pixels.data == bytes([7] * 18)
    assert third.replacement.encoded == png(grey=9)


def test_replacements_may_be_given_by_image_in_every_form() -> None:
    grey = np.full((2, 3, 3), 7, np.uint8)
    sources = AnnotationSources(
        replacements=[png(grey=9), grey, PillowImage.fromarray(grey)],
        replacements_frame="model_input",
    )
    first, second, third = replaced(sources, [png(), png(), png()])
    assert first.replacement.encoded == png(grey=9)
    assert second.replacement.pixels.data == grey.tobytes()
    assert third.replacement.encoded.startswith(b"\x89PNG")
    assert {one.replacement.frame for one in (first, second, third)} == {FRAME_MODEL_INPUT}


def test_replacements_are_read_when_the_turn_of_their_images_comes(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(png(grey=1))
    known = AnnotationSources(replacements=[file]).read(collect([png()]))
    file.write_bytes(png(grey=2))
    assert known.add(0, Image()).replacement.encoded == png(grey=2)


@pytest.mark.filterwarnings("ignore:. of 3 images have")
def test_replacements_that_fit_nothing_or_too_well_are_refused(
    image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "painted"
    images = collect(image_folder)
    for fault in ("does not exist", "holds no images", "belongs to an image"):
        with pytest.raises(UsageError, match=fault):
            AnnotationSources(replacements=folder).read(images)
        if folder.is_dir():
            (folder / "z.png").write_bytes(png())
        folder.mkdir(exist_ok=True)
    for name in ("a.png", "a.jpg"):
        (folder / name).write_bytes(png())
    with pytest.raises(UsageError, match=r"a\.jpg and a\.png: keep one"):
        AnnotationSources(replacements=folder).read(images)
    with pytest.raises(UsageError, match=r"replacement of 'a\.png' is a folder of 3 images"):
        AnnotationSources(replacements={"a": image_folder}).read(images)


@pytest.mark.filterwarnings("error")
def test_images_without_a_replacement_are_named(image_folder: Path) -> None:
    with pytest.raises(PartialAnnotationsWarning, match=r"1 of 3 images have replacements"):
        AnnotationSources(replacements={"a": png()}).read(collect(image_folder))
