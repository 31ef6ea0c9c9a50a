import json
import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import heatproof.client
from heatproof.client.command.application import run
from heatproof.client.command.options.files import require_writable
from heatproof.client.command.subcommands import SUBCOMMANDS, Listed, Subcommand
from heatproof.v1.gate_pb2 import Verdict
from tests.client import fakes
from tests.client.command.interrupting import interrupted

ROOT = Path(__file__).parents[3]


@pytest.fixture
def gate(address: str, model_file: Path, image_folder: Path, policy_file: Path) -> list[str]:
    question = ["--model", str(model_file), "--images", str(image_folder)]
    return ["gate", *question, "--policy", str(policy_file), "--server", address]


@pytest.mark.parametrize(
    ("outcome", "code", "line"),
    [
        (Verdict.OUTCOME_PASS, 0, "PASS: 1 pass"),
        (Verdict.OUTCOME_WARN, 0, "PASS WITH WARNINGS: 1 pass"),
        (Verdict.OUTCOME_FAIL, 1, "FAIL: 1 fail"),
    ],
)
def test_the_exit_code_is_the_verdict_and_the_last_line_says_it(  # noqa: PLR0917  # fixtures and cases
    gate: list[str],
    script: fakes.Script,
    capfd: pytest.CaptureFixture[str],
    outcome: Verdict.Outcome.ValueType,
    code: int,
    line: str,
) -> None:
    script.verdict = outcome

    assert run(gate) == code
    assert capfd.readouterr().out.rstrip().splitlines()[-1].strip() == line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gate"], "no --model: give --model and --images"),
        (["explain"], "Missing option"),
        (["no-such-command"], "No such command"),
        (["evaluate", "--model", "m", "--images", "i", "--metric", "deletion"], "no preprocessing"),
        (["rewrite", "m.onnx", "-o", "out.onnx"], "--layer-masking or --gradient"),
        (
            ["rewrite", "m.onnx", "-o", "o.onnx", "--gradient", "--mask-threshold", "0.5"],
            "mask-threshold: these options belong to --layer-masking",
        ),
        (["models", "list"], "give --server or --data-dir"),
        (["inspect", "m.onnx", "--server", "nowhere"], "no server address"),
        (["inspect", "gone.onnx", "--server", "localhost:1"], "cannot read model"),
        (["inspect", "m.onnx", "--tls-ca", "ca.pem"], "TLS options need --server"),
    ],
)
def test_every_wrong_command_line_ends_with_2(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert message in capfd.readouterr().err


def test_a_refusal_by_the_server_ends_with_2(
    gate: list[str], script: fakes.Script, capfd: pytest.CaptureFixture[str]
) -> None:
    differs = fakes.status("FAILED_PRECONDITION", "the baseline differs in: seed, preprocessing")
    script.failures["GateEvaluation"] = [differs]

    assert run(gate) == 2
    assert "differs in: seed, preprocessing" in capfd.readouterr().err


def test_what_cannot_be_judged_is_written_all_the_same(
    gate: list[str], script: fakes.Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script.failures["GateEvaluation"] = [fakes.status("INTERNAL", "no verdict today")]
    files = ["--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")]

    assert run([*gate, *files]) == 2

    said = capfd.readouterr()
    assert "evaluations/" in said.err
    assert "no verdict today" in said.err
    assert len(json.loads((tmp_path / "r.json").read_text())["image_results"]) == 3
    assert (tmp_path / "r.html").stat().st_size > 100


@pytest.mark.parametrize(
    "wrong",
    [
        ["--images", "/no/such/folder"],
        ["--labels", "/no/such.csv"],
        ["--masks", "/no/such/folder"],
        ["--maps", "/no/such/folder"],
        ["--replacements", "/no/such/folder"],
    ],
)
def test_what_is_wrong_with_the_images_is_said_before_the_model_is_sent(
    gate: list[str], script: fakes.Script, wrong: list[str]
) -> None:
    assert run([*gate, *wrong]) == 2
    assert not script.calls["GetModel"]
    assert not script.uploaded


@pytest.mark.parametrize("option", ["--json", "--markdown", "--html", "--junit"])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("gone/report", "folder gone does not exist"),
        ("folder", "it is a folder; name a file"),
        ("/proc/report", "cannot write /proc/report"),  # takes no files, whoever asks
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_sent(  # noqa: PLR0917  # fixtures and cases
    gate: list[str],
    script: fakes.Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    option: str,
    path: str,
    why: str,
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run([*gate, option, path]) == 2
    assert why in capfd.readouterr().err
    assert not script.calls["GetModel"]
    assert not script.uploaded


@pytest.mark.parametrize("second", ["--html", "--junit", "--update-baseline"])
def test_two_reports_in_one_file_are_refused_before_anything_is_sent(
    gate: list[str],
    script: fakes.Script,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    second: str,
) -> None:
    asked = [*gate, "--json", str(tmp_path / "r"), second, str(tmp_path / "." / "r")]
    assert run(asked) == 2
    assert "two reports would be written to" in capfd.readouterr().err
    assert not script.uploaded


def test_asking_whether_a_report_can_be_written_leaves_nothing_and_takes_devices(
    tmp_path: Path,
) -> None:
    require_writable(tmp_path / "report.json")
    require_writable(Path(os.devnull))
    assert not list(tmp_path.iterdir())


def test_folders_may_be_called_models_and_datasets(  # noqa: PLR0917  # fixtures
    gate: list[str],
    tmp_path: Path,
    model_file: Path,
    image_folder: Path,
    script: fakes.Script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "datasets").mkdir()
    model_file.rename(tmp_path / "models" / "net.onnx")
    image_folder.rename(tmp_path / "datasets" / "photos")
    monkeypatch.chdir(tmp_path)

    assert run([*gate, "--model", "models/net.onnx", "--images", "datasets/photos"]) == 0
    assert script.uploaded
    assert len(script.images) == 3


def test_labels_for_an_uploaded_set_are_refused(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\n")
    command = [*gate, "--images", "datasets/sha256-0", "--labels", str(tmp_path / "labels.csv")]

    assert run(command) == 2
    assert "leave labels out" in capfd.readouterr().err


def test_images_without_a_label_are_noted(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\n")

    assert run([*gate, "--labels", str(tmp_path / "labels.csv")]) == 0
    (line,) = [one for one in capfd.readouterr().err.splitlines() if one.startswith("note:")]
    assert line == "note: 1 of 3 images have labels; without: 'b.png', 'sub/c.png'"


def test_an_unexpected_exception_ends_with_2(
    gate: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("heatproof.client.command.evaluations.gate.show_report", broken)

    assert run(gate) == 2
    assert "a fault of ours" in capfd.readouterr().err


def test_a_policy_with_an_unknown_key_ends_with_2_and_names_the_nearest(
    gate: list[str], policy_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text(policy_file.read_text() + "serverity = 'warn'\n")

    assert run(gate) == 2
    assert "did you mean 'checks[0].severity'?" in capfd.readouterr().err


def test_reports_are_written_and_a_report_serves_as_baseline(
    gate: list[str], script: fakes.Script, tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "markdown", "html")}
    written = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    baseline = tmp_path / "baseline.json"

    assert run([*gate, *written, "--update-baseline", str(baseline)]) == 0
    assert all(path.stat().st_size > 100 for path in files.values())
    assert script.calls["CreateEvaluation"][0].spec.keep_overlays
    assert '"overlays"' not in files["json"].read_text()
    assert run([*gate, "--baseline", str(files["json"])]) == 0
    assert run([*gate, "--baseline", str(baseline)]) == 0

    first, second = (call.recorded_baseline for call in script.calls["GateEvaluation"][1:])
    assert first == second
    assert len(first.image_results) == 3
    assert json.loads(baseline.read_text())["model"] == first.model


def test_a_file_that_is_no_baseline_ends_with_2(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.json").write_text('{"evaluation": {"spec": {}}}')

    assert run([*gate, "--baseline", str(tmp_path / "b.json")]) == 2
    assert "is no report" in capfd.readouterr().err


def test_reports_say_why_there_is_no_verdict(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {kind: tmp_path / f"r.{kind}" for kind in ("json", "junit", "markdown", "html")}
    written = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]

    kept = tmp_path / "kept.json"
    assert run([*gate, *written, "--baseline", "lost.json", "--update-baseline", str(kept)]) == 2
    told = "cannot read baseline lost.json: No such file or directory"
    assert told in capfd.readouterr().err
    assert all(told in path.read_text().replace("\\", "") for path in files.values())
    assert json.loads(files["json"].read_text())["error"]["reason"] == "UsageError"
    assert not kept.exists()


def test_the_policy_of_the_folder_is_found(
    gate: list[str],
    policy_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bare = [text for text in gate if text not in {"--policy", str(policy_file)}]
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run(bare) == 2
    told = " ".join(capfd.readouterr().err.split())
    assert "no policy: there is no heatproof.toml in" in told
    assert "deployment, medical, research" in told
    Path("heatproof.toml").write_text(policy_file.read_text())
    assert run(bare) == 0


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    gate: list[str], script: fakes.Script
) -> None:
    assert run([*gate, "--html", "/no/such/folder/r.html"]) == 2
    assert not script.calls["GetModel"]


def test_an_interrupt_ends_with_130_and_cancels(gate: list[str], script: fakes.Script) -> None:
    script.hangs = True
    assert interrupted(gate) == 130
    assert len(script.calls["CancelEvaluation"]) == 1


def test_the_version_is_that_of_the_distribution(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out.strip() == f"heatproof {metadata.version('heatproof')}"
    assert heatproof.client.__version__ == metadata.version("heatproof")


@pytest.mark.parametrize(
    ("typed", "offered"), [("heatproof ev", "evaluations"), ("heatproof evaluations w", "watch")]
)
def test_the_shell_completes_commands(typed: str, offered: str) -> None:
    asked = {
        "_HEATPROOF_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    command = Path(sys.executable).with_name("heatproof")
    done = subprocess.run(
        [command], env=os.environ | asked, capture_output=True, text=True, check=True, timeout=60
    )
    assert offered in done.stdout.split()


def test_a_header_that_names_no_column_is_shown(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("filename,class\na.png,1\n")
    assert run([*gate, "--labels", str(tmp_path / "labels.csv")]) == 2
    assert "the header, has `filename,class`" in capfd.readouterr().err


def core_distributions() -> set[str]:
    """What `pip install heatproof` brings, without extras."""
    found: set[str] = set()
    wanted = ["heatproof"]
    while wanted:
        name = wanted.pop()
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if requirement.name not in found:
                found.add(requirement.name)
                wanted.append(requirement.name)
    return found


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A virtual environment with the core's packages alone, as links."""
    venv.create(tmp_path / "bare", symlinks=True)
    site = next((tmp_path / "bare" / "lib").glob("python*/site-packages"))
    for name in (*core_distributions(), "heatproof"):
        for file in metadata.files(name) or []:
            target = Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0]
            link = site / file.parts[0]
            if file.parts[0] not in {"..", "google"} and not link.exists():
                link.symlink_to(target)
    google = Path(str(metadata.distribution("protobuf").locate_file("google")))
    (site / "google").symlink_to(google)
    roots = [ROOT / part for part in ("protos", "client", "server", "evaluators", "graphs")]
    (site / "roots.pth").write_text("\n".join(map(str, roots)))
    return tmp_path / "bare" / "bin" / "python"


def test_without_server_and_its_packages_the_command_says_what_to_install(
    bare_python: Path, model_file: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for arguments in (["inspect", str(model_file)], ["serve"]):
        done = subprocess.run(
            [bare_python, "-m", "heatproof.client", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

        assert done.returncode == 2, done.stderr
        assert "no --server given, and the local server is not installed" in done.stderr
        assert "pip install 'heatproof[server]'" in done.stderr


@pytest.mark.parametrize("subcommand", SUBCOMMANDS, ids=lambda one: one.name)
def test_what_is_listed_of_a_subcommand_is_what_it_says_itself(subcommand: Subcommand) -> None:
    loaded = subcommand.loaded()

    assert loaded.help.splitlines()[0] == subcommand.summary
    context = Listed(subcommand).make_context(subcommand.name, [], resilient_parsing=True)
    assert type(context.command) is type(loaded)
    assert [one.name for one in context.command.params] == [one.name for one in loaded.params]
