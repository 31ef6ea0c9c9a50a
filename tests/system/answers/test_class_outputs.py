"""What a model's answers are, from its file to every report: over the socket and the command.

The files of `heads/` are what exporters write: a quantised softmax, one logit, one sigmoid as
[N, 1] and [N], and features beside logits.
"""

import json
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit, softmax

from heatproof.client import Client
from heatproof.client.command.application import run
from heatproof.client.documents.results import Report
from heatproof.client.errors import EvaluationFailedError, HeatproofError
from heatproof.v1 import image_pb2, masking_service_pb2, preprocessing_pb2
from heatproof.v1.class_output_pb2 import ClassOutput
from heatproof.v1.model_pb2 import Model
from tests.system.serving import Served

HEADS = Path(__file__).parent / "heads"
IMAGES: Final = 10

POLICY = """
explainers = ["random"]
removals = ["black"]
min_images = 1
[model]
{stated}
[model.preprocessing]
resize = "none"
[[checks]]
metric = {{ insertion = {{ grid = 2, steps = 2 }} }}
min = 0.0
on = "mean"
min_scored = 0.0
"""

NETWORK = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 3, 32, 32] image) => ({outputs}) <float[4, 3] v, float[4] b, float[4, 4] square>
{{ pool = GlobalAveragePool (image)
   f = Flatten (pool)
   z = Gemm <transB = 1> (f, v, b)
   {head} }}
"""


def network(head: str, outputs: str = "float[N, 4] p", *, gain: float = 6.0) -> bytes:
    """Class 0, 1 or 2 where red, green or blue prevails; class 3 never."""
    model = onnx.parser.parse_model(NETWORK.format(head=head, outputs=outputs))
    weights = np.concatenate([gain * np.eye(3), np.zeros((1, 3))]).astype(np.float32)
    bias = np.array([0, 0, 0, -gain], np.float32)
    arrays = {"v": weights, "b": bias, "square": np.zeros((4, 4), np.float32)}
    for name, array in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model.SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one colour each with some noise, and their labels."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    lines = ["file,label"]
    for index in range(IMAGES):
        pixels = rng.integers(0, 100, (32, 32, 3)).astype(np.uint8)
        pixels[..., index % 3] += 120
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
        lines.append(f"{index:02}.png,{index % 3}")
    (folder.parent / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def client(served: Served) -> Any:
    with Client.connect(served.address) as client:
        yield client


def pixels(folder: Path) -> NDArray[np.float32]:
    loaded = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return (np.stack(loaded).transpose(0, 3, 1, 2) / 255).astype(np.float32)


def evaluated(client: Client, model: Path | bytes, folder: Path, **options: Any) -> Report:
    return client.evaluate(
        model, folder, preprocessing={"resize": "none"},
        metrics=[{"insertion": {"grid": 2, "steps": 2}}], explainers=["random"],
        removals=["black"], **options,
    )  # fmt: skip


def shown(report: Report, classes: int) -> NDArray[np.float64]:
    """The probabilities of the reports, [images, classes]; at most five classes."""
    found = np.zeros((len(report.images), classes))
    for row, image in enumerate(report.images):
        for entry in image.predictions[0].top:
            found[row, entry.class_index] = entry.probability
    return found


def original(model: Path | bytes, images: NDArray[np.float32], output: str) -> Any:
    """Bare ONNX Runtime on the file as it is."""
    data = model if isinstance(model, bytes) else model.read_bytes()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run([output], {session.get_inputs()[0].name: images})
    return np.asarray(found, np.float64)


def both(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of class 0 and class 1 from that of class 1."""
    flat = p.reshape(-1, 1)
    return np.concatenate([1 - flat, flat], axis=1)


ROWS: dict[str, tuple[str, str, Any, float]] = {
    # one step of the quantisation
    "softmax_qdq": ("probs", "softmax", lambda y: y, 0.6 / 255),
    "logit1": ("logits", "none", lambda y: both(expit(y)), 1e-5),
    "sigmoid1_neg": ("p", "sigmoid", both, 1e-5),
    "sigmoid_vec": ("p", "sigmoid", both, 1e-5),
    "feat_and_logits": ("logits", "none", lambda y: softmax(y, axis=1), 1e-5),
}


@pytest.mark.parametrize("name", ROWS)
def test_reports_show_the_probabilities_that_the_file_means(
    client: Client, folder: Path, name: str
) -> None:
    output, activation, meaning, tolerance = ROWS[name]
    path = HEADS / f"{name}.onnx"
    facts = client.inspect(path).facts
    report = evaluated(client, path, folder)
    (read,) = report.evaluation.class_outputs
    assert (read.output, read.activation) == (output, activation)
    assert (facts.class_output, facts.activation) == (output, activation)
    assert (facts.classes, facts.class_output_decision) == (read.classes, read.decision)
    expected = meaning(original(path, pixels(folder), output))
    np.testing.assert_allclose(shown(report, read.classes), expected, atol=tolerance)
    (explained,) = client.explain(
        path, [folder / "00.png"], preprocessing={"resize": "none"}, explainers=["saliency"]
    )
    assert explained.class_output == read
    assert explained.values is not None


@pytest.mark.parametrize("name", ["logit1", "sigmoid1_neg", "sigmoid_vec"])
def test_a_binary_head_takes_labels_and_explains_either_class(
    client: Client, folder: Path, name: str
) -> None:
    path, image = HEADS / f"{name}.onnx", folder / "00.png"
    maps = {}
    for label in (0, 1):
        labels = folder.parent / f"one-{label}.csv"
        labels.write_text(f"file,label\n00.png,{label}\n")
        (explained,) = client.explain(
            path, [image], preprocessing={"resize": "none"}, target="label", labels=labels,
            explainers=["grad_cam"],
        )  # fmt: skip
        assert explained.prediction.target == label
        maps[label] = np.zeros(1) if explained.values is None else explained.values
    assert not np.array_equal(maps[0], maps[1])
    labels.write_text("file,label\n00.png,2\n")
    with pytest.raises(HeatproofError, match="classes 0 to 1"):
        client.explain(
            path, [image], preprocessing={"resize": "none"}, labels=labels, explainers=["grad_cam"]
        )


def test_masked_predictions_of_a_binary_head_have_two_logits(
    served: Served, client: Client, folder: Path
) -> None:
    path = HEADS / "sigmoid_vec.onnx"
    request = masking_service_pb2.PredictRequest(
        model=client.inspect(path).name,
        preprocessing=preprocessing_pb2.Preprocessing(
            resize=preprocessing_pb2.Preprocessing.RESIZE_NONE
        ),
        image=image_pb2.Image(encoded=(folder / "00.png").read_bytes()),
    )
    reply = served.masking.Predict(request)
    logits = np.frombuffer(reply.logits.data, "<f4")
    p = original(path, pixels(folder)[:1], "p")
    np.testing.assert_allclose(softmax(logits), both(p)[0], atol=1e-5)
    assert reply.class_output.is_binary
    request.activation = 1  # logits: contradicts the sigmoid in the graph
    with pytest.raises(Exception, match="activation is stated as logits") as caught:
        served.masking.Predict(request)
    assert caught.value.code().name == "INVALID_ARGUMENT"  # type: ignore[attr-defined]  # of gRPC


# Nothing is guessed.

SCALE = """
    top = ReduceMax <keepdims = 0> (image) scale = Div (top, top)
    same = EyeLike <dtype = 1> (square) eye = Mul (same, scale)
    """
HIDDEN_SOFTMAX = "q = Softmax (z) p = MatMul (q, eye)"
"""A softmax through operators that nobody follows back."""


def test_answers_that_sum_to_one_are_refused_with_advice(client: Client, folder: Path) -> None:
    model = network(SCALE + HIDDEN_SOFTMAX)
    advice = r"lie in \[0, 1\], and no activation was found behind output 'p'.*--activation softmax"
    with pytest.raises(EvaluationFailedError, match=advice):
        evaluated(client, model, folder)
    for images in (folder, folder / "00.png"):
        with pytest.raises(HeatproofError, match=advice):
            client.explain(model, images, preprocessing={"resize": "none"}, explainers=["saliency"])


HIDDEN_SIGMOID = "q = Sigmoid (z) p = MatMul (q, eye)"
"""A sigmoid for each class likewise: their sum is anything."""


def predict(served: Served, model: bytes, client: Client, folder: Path, activation: int = 0) -> Any:
    uploaded = client.inspect(model)
    request = masking_service_pb2.PredictRequest(
        model=uploaded.name,
        image=image_pb2.Image(encoded=(folder / "00.png").read_bytes()),
        preprocessing=preprocessing_pb2.Preprocessing(
            resize=preprocessing_pb2.Preprocessing.RESIZE_NONE
        ),
        activation=activation,
    )
    return served.masking.Predict(request)


def test_chances_of_an_unknown_operator_are_refused_by_every_way_in(
    served: Served, client: Client, folder: Path
) -> None:
    model = network(SCALE + HIDDEN_SIGMOID)
    decision = client.inspect(model).facts.class_output_decision
    assert "unless all first answers lie in [0, 1]" in decision
    advice = r"all lie in \[0, 1\], and no activation.*--activation sigmoid"
    with pytest.raises(EvaluationFailedError, match=advice):
        evaluated(client, model, folder)
    with pytest.raises(HeatproofError, match=advice):
        client.explain(model, folder, preprocessing={"resize": "none"}, explainers=["saliency"])
    with pytest.raises(Exception, match=advice) as caught:
        predict(served, model, client, folder)
    assert caught.value.code().name == "FAILED_PRECONDITION"  # type: ignore[attr-defined]  # of gRPC
    report = evaluated(client, model, folder, activation="sigmoid")
    expected = original(model, pixels(folder), "p")
    np.testing.assert_allclose(shown(report, 4), expected, atol=1e-5)
    assert expected.sum(axis=1).max() > 1.2


def test_a_stated_activation_gives_the_true_probabilities(client: Client, folder: Path) -> None:
    model = network(SCALE + HIDDEN_SOFTMAX)
    report = evaluated(client, model, folder, activation="softmax")
    (read,) = report.evaluation.class_outputs
    assert (read.activation, read.basis) == ("softmax", ClassOutput.BASIS_STATED)
    assert "stated by the user" in read.decision
    expected = original(model, pixels(folder), "p")
    np.testing.assert_allclose(shown(report, 4), expected, atol=1e-5)
    assert report.evaluation.spec.activation == 2


CONTRADICTED = {
    "logits stated as softmax": (network("p = Identity (z)"), "softmax", "do not lie in"),
    "logits stated as sigmoid": (network("p = Identity (z)"), "sigmoid", "do not lie in"),
    "probabilities stated as logits": (network(SCALE + HIDDEN_SOFTMAX), "logits", "state softmax"),
    "softmax stated as sigmoid": (network("p = Softmax (z)"), "sigmoid", "leave activation out"),
}


@pytest.mark.parametrize(("model", "stated", "message"), CONTRADICTED.values(), ids=CONTRADICTED)
def test_a_statement_that_is_not_so_is_an_error(
    client: Client, folder: Path, model: bytes, stated: str, message: str
) -> None:
    with pytest.raises(HeatproofError, match=message):
        evaluated(client, model, folder, activation=stated)


TWO_HEADS = network("y = Neg (z)", "float[N, 4] z, float[N, 4] y")


def test_inspect_lists_outputs_and_refuses_where_evaluate_refuses(
    client: Client, folder: Path
) -> None:
    found = client.inspect(TWO_HEADS)
    assert found.facts.class_output == ""
    assert [held.output for held in found.facts.class_candidates] == ["z", "y"]
    assert "--output" in found.facts.class_output_decision
    assert not any(use.usable for use in found.usability.metrics)
    with pytest.raises(HeatproofError, match=r"'z'.*'y'.*--output"):
        evaluated(client, TWO_HEADS, folder)
    named: Model = client.inspect(TWO_HEADS, output="y")
    assert (named.facts.class_output, named.facts.classes) == ("y", 4)
    report = evaluated(client, TWO_HEADS, folder, output="y")
    expected = softmax(original(TWO_HEADS, pixels(folder), "y"), axis=1)
    np.testing.assert_allclose(shown(report, 4), expected, atol=1e-5)


def test_an_unknown_output_is_refused_at_its_field(client: Client, folder: Path) -> None:
    with pytest.raises(HeatproofError, match=r"output.*unknown output 'zz'"):
        evaluated(client, TWO_HEADS, folder, output="zz")


# Doubts.


def test_a_model_that_answers_one_class_is_warned_of(client: Client, folder: Path) -> None:
    model = network("p = Softmax (z)", gain=0.0)
    labels = folder.parent / "labels.csv"
    report = evaluated(client, model, folder, labels=labels)
    reasons = [held.reason for held in report.evaluation.warnings]
    assert reasons == ["ONE_CLASS", "CHANCE_ACCURACY"]


def test_a_sound_model_is_not_warned_of(client: Client, folder: Path) -> None:
    report = evaluated(
        client, network("p = Softmax (z)"), folder, labels=folder.parent / "labels.csv"
    )
    assert not report.evaluation.warnings


# The command.


def command(served: Served, *arguments: str) -> int:
    return run([*arguments, "--server", served.address])


def test_every_report_shows_how_answers_are_read_and_warns_on_top(
    served: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "idle.onnx"
    model.write_bytes(network("p = Softmax (z)", gain=0.0))
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(stated='output = "p"\nactivation = "softmax"'))
    reports = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "markdown", "html")}
    flags = [part for kind, path in reports.items() for part in (f"--{kind}", str(path))]
    done = command(
        served, "gate", "--model", str(model), "--images", str(folder), "--policy", str(policy),
        "--labels", str(folder.parent / "labels.csv"), *flags,
    )  # fmt: skip
    out, err = capfd.readouterr()
    assert done == 0, out + err
    decision = "stated by the user; softmax found in the graph"
    terminal = " ".join(out.split())
    assert 0 <= terminal.index("WARNING ONE_CLASS") < terminal.index("top class")
    assert decision in terminal
    held = json.loads(reports["json"].read_text())
    assert held["evaluation"]["class_outputs"][0]["decision"].startswith(decision)
    assert {one["reason"] for one in held["evaluation"]["warnings"]} == {
        "ONE_CLASS", "CHANCE_ACCURACY",
    }  # fmt: skip
    assert held["verdict"]["outcome"] == "OUTCOME_WARN"
    assert any("ONE_CLASS" in text for text in held["verdict"]["warnings"])
    markdown = reports["markdown"].read_text().replace("\\", "")
    assert markdown.index("ONE_CLASS") < markdown.index("| Check |")
    assert decision in markdown
    page = reports["html"].read_text()
    assert page.index("ONE_CLASS") < page.index('<h2 id="checks"')
    assert decision in page
    suite = ET.fromstring(reports["junit"].read_text())  # noqa: S314  # our own output
    properties = [(p.attrib["name"], p.attrib["value"]) for p in suite.iter("property")]
    (read,) = (value for name, value in properties if name.startswith("class output of"))
    assert decision in read
    assert any("CHANCE_ACCURACY" in value for name, value in properties if name == "warning")


DROPPED = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[1, 3, 32, 32] image) => (float[1, 4] p)
<float[4, 3] v, float[4] b, float ratio = {0.5}, bool yes = {1}>
{ pool = GlobalAveragePool (image)
  f = Flatten (pool)
  z = Gemm <transB = 1> (f, v, b)
  d = Dropout (z, ratio, yes)
  p = Softmax (d) }
"""


def test_every_report_says_what_was_done_to_the_model(
    served: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, policy = tmp_path / "dropped.onnx", tmp_path / "policy.toml"
    built = onnx.parser.parse_model(DROPPED)
    built.graph.initializer.extend(
        onnx.load_from_string(network("p = Softmax (z)")).graph.initializer
    )
    built.graph.node[3].name = "the_dropout"
    model.write_bytes(built.SerializeToString())
    policy.write_text(POLICY.format(stated=""))
    reports = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "markdown", "html")}
    flags = [part for kind, path in reports.items() for part in (f"--{kind}", str(path))]
    done = command(
        served, "gate", "--model", str(model), "--images", str(folder), "--policy", str(policy),
        *flags,
    )  # fmt: skip
    out, err = capfd.readouterr()
    assert done == 0, out + err
    texts = {kind: path.read_text().replace("\\", "") for kind, path in reports.items()}
    texts["terminal"] = out
    for kind, text in texts.items():
        plain = " ".join(text.split())
        assert "the_dropout" in plain, kind
        assert "is turned off" in plain, kind
        assert "batch size 1 only: its batch dimension is freed" in plain, kind
    held = json.loads(texts["json"])
    assert [one["reason"] for one in held["evaluation"]["warnings"]] == [
        "MODEL_CHANGED", "MODEL_FORM",
    ]  # fmt: skip
    assert held["verdict"]["outcome"] == "OUTCOME_WARN"
    (warning,) = held["verdict"]["warnings"]
    assert warning.startswith("MODEL_CHANGED: node 'the_dropout'")


def test_the_command_names_output_and_activation(
    served: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "two.onnx"
    model.write_bytes(TWO_HEADS)
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(stated=""))
    asked = ["--images", str(folder), "--model", str(model)]
    gate = ["gate", *asked, "--policy", str(policy)]
    assert command(served, *gate) == 2
    assert "--output" in capfd.readouterr().err
    assert command(served, *gate, "--output", "y", "--activation", "logits") == 0
    assert "stated by the user; logits" in " ".join(capfd.readouterr().out.split())
    maps = ["explain", *asked, "--preprocessing", str(preprocessing(tmp_path)), "-o", str(tmp_path)]
    assert command(served, *maps, "--explainer", "saliency", "--class-output", "y") == 0
    assert "class output: y" in capfd.readouterr().err
    assert command(served, "inspect", str(model), "--output", "y") == 0
    assert "y: 4 classes, chosen" in " ".join(capfd.readouterr().out.split())


def preprocessing(folder: Path) -> Path:
    path = folder / "preprocessing.toml"
    path.write_text('resize = "none"\n')
    return path


def test_gradients_of_an_ambiguous_model_need_a_name(served: Served, tmp_path: Path) -> None:
    model, target = tmp_path / "two.onnx", tmp_path / "gradient.onnx"
    model.write_bytes(TWO_HEADS)
    rewrite = ["rewrite", str(model), "-o", str(target), "--gradient"]
    assert command(served, *rewrite) == 2
    assert command(served, *rewrite, "--class-output", "y") == 0
    given = onnx.load(target).graph.input
    assert [value.name for value in given] == ["image", "output_gradient"]


ACCURACY = """
[clean_accuracy]
min = 0.5
"""


def test_the_gate_binds_the_clean_accuracy(
    served: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(stated="") + ACCURACY)
    gate = ["gate", "--images", str(folder), "--policy", str(policy), "--model"]
    labels = ["--labels", str(folder.parent / "labels.csv")]
    for name, gain, code in (("sound", 6.0, 0), ("idle", 0.0, 1)):
        model, reports = tmp_path / f"{name}.onnx", tmp_path / f"{name}.md"
        model.write_bytes(network("p = Softmax (z)", gain=gain))
        done = command(served, *gate, str(model), *labels, "--markdown", str(reports))
        assert done == code, capfd.readouterr()
        assert "clean accuracy" in reports.read_text()
        assert "clean accuracy" in capfd.readouterr().out
    assert command(served, *gate, str(model)) == 2
    said = capfd.readouterr().err
    assert "policy.clean_accuracy" in said
    assert "--labels" in said
