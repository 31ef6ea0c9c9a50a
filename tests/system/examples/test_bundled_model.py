"""The bundled classifier, photographs, labels and masks are what examples/README.md says.

The oracle for the preprocessing is Pillow alone: its antialiased bilinear resize to a shortest
side of 224 and a centre crop. No module of the package takes part.
"""

import csv
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image

EXAMPLES = Path(__file__).parents[3] / "examples"
MODEL = EXAMPLES / "models" / "efficientnet-lite0.onnx"
PHOTOGRAPHS = EXAMPLES / "photographs"
SIDE = 224
TOP_ONE = {
    "anemone_fish.jpg": ("anemone fish", 0.81),
    "astronaut.jpg": ("bobsled", 0.30),
    "baseball.jpg": ("baseball", 0.86),
    "bee.jpg": ("bee", 0.95),
    "bison.jpg": ("bison", 0.84),
    "bucket.jpg": ("bucket", 0.23),
    "camera.png": ("tripod", 0.94),
    "chameleon.jpg": ("African chameleon", 1.00),
    "chelsea.png": ("Egyptian cat", 0.40),
    "china.jpg": ("palace", 0.31),
    "clock.png": ("bubble", 0.67),
    "coffee.jpg": ("espresso", 0.95),
    "flower.jpg": ("daisy", 0.19),
    "frying_pan.jpg": ("frying pan", 0.85),
    "german_shepherd.jpg": ("German shepherd", 0.97),
    "gibbon.jpg": ("gibbon", 0.99),
    "goldfish.jpg": ("goldfish", 0.90),
    "grace_hopper.jpg": ("military uniform", 0.28),
    "hammer.jpg": ("hammer", 0.58),
    "hen.jpg": ("hen", 0.87),
    "jaguar.jpg": ("jaguar", 0.74),
    "kingfisher.jpg": ("jacamar", 0.80),
    "koala.jpg": ("koala", 0.94),
    "komodo_dragon.jpg": ("Komodo dragon", 0.85),
    "lemur.jpg": ("Madagascar cat", 0.71),
    "macaw.jpg": ("macaw", 0.89),
    "panda.jpg": ("giant panda", 0.92),
    "pig.jpg": ("hog", 0.35),
    "plate.jpg": ("face powder", 0.19),
    "polar_bear.jpg": ("ice bear", 0.99),
    "puffer.jpg": ("puffer", 0.91),
    "red_panda.jpg": ("lesser panda", 0.90),
    "rocket.png": ("missile", 0.27),
    "scale.jpg": ("scale", 0.91),
    "suspension_bridge.jpg": ("pier", 0.48),
}


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def classes() -> list[str]:
    return (EXAMPLES / "models" / "imagenet-classes.txt").read_text("utf-8").splitlines()


def photographs() -> list[Path]:
    return sorted(p for p in PHOTOGRAPHS.iterdir() if p.suffix in {".jpg", ".png"})


def preprocessed(path: Path) -> NDArray[np.float32]:
    """Returns a photograph as the model's input [1, 3, 224, 224]."""
    with Image.open(path) as photograph:
        image = photograph.convert("RGB")
    scale = SIDE / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)), np.float64)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[np.newaxis].astype(np.float32)


def logits(session: ort.InferenceSession, images: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(session.run(["logits"], {"image": images})[0], np.float64)


def probabilities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def test_the_model_is_the_one_its_digest_names() -> None:
    digest, name = MODEL.with_name(f"{MODEL.name}.sha256").read_text("utf-8").split()
    assert name == MODEL.name
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == digest


def test_the_model_is_one_small_file_of_a_fixed_opset_with_folded_operators() -> None:
    model = onnx.load(MODEL, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert {n.op_type for n in model.graph.node} == {
        "Add",
        "Clip",
        "Conv",
        "Gemm",
        "ReduceMean",
        "Reshape",
    }
    assert not any(i.external_data for i in model.graph.initializer)
    assert MODEL.stat().st_size < 19_000_000


def test_the_model_takes_any_batch_of_images_and_gives_logits(
    session: ort.InferenceSession,
) -> None:
    (image,), (output,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["N", 3, SIDE, SIDE])
    assert (output.name, output.type, output.shape) == ("logits", "tensor(float)", ["N", 1000])


def test_a_batch_gives_each_photograph_what_it_gets_alone(session: ort.InferenceSession) -> None:
    images = [preprocessed(path) for path in photographs()]
    alone = np.concatenate([logits(session, image) for image in images])
    # Batch sizes choose different kernels; float32 sums over up to 1280 terms then differ.
    np.testing.assert_allclose(logits(session, np.concatenate(images)), alone, atol=1e-4, rtol=0)


def test_every_photograph_has_an_expected_answer() -> None:
    assert {path.name for path in photographs()} == TOP_ONE.keys()


@pytest.mark.parametrize(("name", "expected"), TOP_ONE.items())
def test_the_model_answers_a_photograph_with_the_documented_class(
    name: str, expected: tuple[str, float], session: ort.InferenceSession, classes: list[str]
) -> None:
    answer = probabilities(logits(session, preprocessed(PHOTOGRAPHS / name)))[0]
    top = int(answer.argmax())
    assert classes[top] == expected[0]
    # JPEG decoders may round by one level, and the documented figures have two digits.
    assert answer[top] == pytest.approx(expected[1], abs=0.02)


def test_the_class_names_are_those_of_imagenet_in_its_order(classes: list[str]) -> None:
    assert len(classes) == 1000
    assert all(name == name.strip() != "" for name in classes)
    anchors = {0: "tench", 281: "tabby", 285: "Egyptian cat", 967: "espresso", 999: "toilet tissue"}
    assert {index: classes[index] for index in anchors} == anchors


def test_the_labels_name_bundled_photographs_and_their_classes(classes: list[str]) -> None:
    with (EXAMPLES / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = {row["file"]: classes[int(row["label"])] for row in csv.DictReader(file)}
    assert labels == {
        "anemone_fish.jpg": "anemone fish",
        "baseball.jpg": "baseball",
        "bee.jpg": "bee",
        "bison.jpg": "bison",
        "bucket.jpg": "bucket",
        "camera.png": "tripod",
        "chameleon.jpg": "African chameleon",
        "chelsea.png": "tabby",
        "clock.png": "wall clock",
        "coffee.jpg": "espresso",
        "frying_pan.jpg": "frying pan",
        "german_shepherd.jpg": "German shepherd",
        "gibbon.jpg": "gibbon",
        "goldfish.jpg": "goldfish",
        "grace_hopper.jpg": "military uniform",
        "hammer.jpg": "hammer",
        "hen.jpg": "hen",
        "jaguar.jpg": "jaguar",
        "koala.jpg": "koala",
        "komodo_dragon.jpg": "Komodo dragon",
        "lemur.jpg": "Madagascar cat",
        "macaw.jpg": "macaw",
        "panda.jpg": "giant panda",
        "pig.jpg": "hog",
        "polar_bear.jpg": "ice bear",
        "puffer.jpg": "puffer",
        "red_panda.jpg": "lesser panda",
        "scale.jpg": "scale",
        "suspension_bridge.jpg": "suspension bridge",
    }


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("clock.png", (182, 131), (100, 131)),
        ("coffee.jpg", (185, 95), (350, 128)),
        ("rocket.png", (193, 160), (185, 60)),
        ("german_shepherd.jpg", (200, 100), (160, 190)),
        ("gibbon.jpg", (258, 140), (120, 60)),
        ("goldfish.jpg", (200, 150), (20, 230)),
        ("panda.jpg", (200, 150), (40, 60)),
        ("pig.jpg", (150, 110), (150, 230)),
        ("scale.jpg", (150, 140), (20, 40)),
    ],
)
def test_a_mask_covers_the_object_in_the_frame_of_its_photograph(
    name: str, inside: tuple[int, int], outside: tuple[int, int]
) -> None:
    with Image.open(PHOTOGRAPHS / name) as photograph:
        size = photograph.size
    with Image.open((EXAMPLES / "masks" / name).with_suffix(".png")) as mask:
        assert mask.size == size
        assert mask.mode == "L"
        assert {colour for _, colour in mask.getcolors() or []} == {0, 255}
        assert (mask.getpixel(inside), mask.getpixel(outside)) == (255, 0)


def test_every_mask_is_of_a_photograph_and_leaves_object_and_background() -> None:
    sizes = {}
    for path in photographs():
        with Image.open(path) as photograph:
            sizes[path.stem] = photograph.size
    masks = sorted((EXAMPLES / "masks").glob("*.png"))
    assert len(masks) >= 16
    for path in masks:
        with Image.open(path) as mask:
            assert mask.size == sizes[path.stem], path.name
            assert mask.mode == "L"
            marked = np.asarray(mask)
        assert set(np.unique(marked).tolist()) == {0, 255}, path.name
        assert 0.01 < (marked > 0).mean() < 0.85, path.name


def test_every_photograph_states_its_origin_and_licence_and_all_are_small() -> None:
    origin = (PHOTOGRAPHS / "ORIGIN.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in origin.splitlines()]
    stated = {row[1].strip("`"): row[4] for row in rows if len(row) == 7 and "`" in row[1]}
    assert stated.keys() == {path.name for path in photographs()}
    assert set(stated.values()) <= {"CC0", "public domain", "CC BY 2.0", "CC BY 3.0"}
    assert len(stated) >= 32
    assert sum(path.stat().st_size for path in photographs()) < 1_400_000
