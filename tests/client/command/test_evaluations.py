import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heatproof.client.command.application import run
from heatproof.client.command.output import console
from heatproof.v1.evaluation_pb2 import Evaluation
from tests.client import fakes


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 200)


@pytest.fixture
def ask(model_file: Path, image_folder: Path) -> list[str]:
    """An evaluation, without the server."""
    asked = ["evaluate", "--model", str(model_file), "--images", str(image_folder)]
    return [*asked, "--preprocessing", "imagenet", "--metric", "deletion", "--removal", "black"]


@pytest.fixture
def detached(ask: list[str], address: str, capfd: pytest.CaptureFixture[str]) -> str:
    """The name of an evaluation that nobody waits for."""
    assert run([*ask, "--explainer", "grad_cam", "--detach", "--server", address]) == 0
    return capfd.readouterr().out.strip()


def asked_of(kind: str, name: str, address: str) -> list[str]:
    return ["evaluations", kind, name, "--server", address]


def test_a_detached_evaluation_is_listed_watched_and_shown(
    detached: str, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluations", "list", "--server", address]) == 0
    (line,) = [one for one in capfd.readouterr().out.splitlines() if detached in one]
    assert "queued" in line
    assert "deletion" in line

    page = tmp_path / "r.html"
    assert run([*asked_of("watch", detached, address), "--html", str(page)]) == 0
    watched = capfd.readouterr().out
    assert "0.5" in watched
    assert page.stat().st_size > 100

    assert run(asked_of("show", detached, address)) == 0
    assert capfd.readouterr().out == watched


def test_one_that_has_not_ended_shows_where_it_stands(
    detached: str, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(asked_of("show", detached, address)) == 0
    assert capfd.readouterr().out.strip() == f"{detached}: queued, 0 of 0 images"


def test_what_is_cancelled_shows_its_finished_images(
    detached: str, address: str, script: fakes.Script, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(asked_of("cancel", detached, address)) == 0
    assert capfd.readouterr().out.startswith(f"{detached}: cancelled")
    script.state = Evaluation.STATE_CANCELLED

    assert run(asked_of("show", detached, address)) == 0
    said = capfd.readouterr()
    assert "was cancelled; what follows is of the finished images" in said.err
    assert "deletion" in said.out
    assert run(asked_of("watch", detached, address)) == 2
    assert "was cancelled" in capfd.readouterr().err


def test_a_failure_is_shown_with_its_reason_and_watched_with_code_2(
    detached: str, address: str, script: fakes.Script, capfd: pytest.CaptureFixture[str]
) -> None:
    script.state = Evaluation.STATE_FAILED
    script.error = fakes.status("INTERNAL", "worker died", fakes.error_info("WORKER_CRASHED"))

    assert run(asked_of("watch", detached, address)) == 2
    assert "worker died" in capfd.readouterr().err
    assert run(asked_of("show", detached, address)) == 0
    assert "worker died" in capfd.readouterr().err


def test_what_is_deleted_is_gone(
    detached: str, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(asked_of("delete", detached, address)) == 0
    assert run(asked_of("show", detached, address)) == 2
    assert f"no {detached}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--detach"], "--detach needs --server"),
        (["--detach", "--estimate"], "exclude each other"),
        (["--detach", "--html", "r.html"], "--detach has no results to report"),
        (["--estimate", "--json", "r.json"], "--estimate has no results to report"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    ask: list[str], options: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*ask, *options]) == 2
    assert told in capfd.readouterr().err


def test_an_estimate_is_printed_and_nothing_runs(
    ask: list[str], address: str, script: fakes.Script, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*ask, "--explainer", "grad_cam", "--estimate", "--server", address]) == 0
    said = capfd.readouterr().out
    assert "1 results of 3 images: at most 1,234 predictions, about 8 s" in said
    assert not script.calls["WatchEvaluation"]


def interrupted(arguments: list[str]) -> tuple[int, str]:
    """Exit code and last words of a command that gets Ctrl-C once it tells of its evaluation."""
    command = [sys.executable, "-m", "heatproof.client", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("evaluate"):
                break
        process.send_signal(signal.SIGINT)
        return process.wait(30), process.stderr.read()


def test_ctrl_c_says_what_is_kept_and_how_to_get_it_back(
    ask: list[str], address: str, script: fakes.Script
) -> None:
    script.hangs = True
    code, said = interrupted([*ask, "--explainer", "grad_cam", "--server", address])

    assert code == 130
    assert "the results of its finished images are kept" in said
    assert f"heatproof evaluations show evaluations/e1 --server {address}" in said
    assert len(script.calls["CancelEvaluation"]) == 1


def test_ctrl_c_while_watching_leaves_the_evaluation_at_work(
    detached: str, address: str, script: fakes.Script
) -> None:
    script.hangs = True
    code, said = interrupted(asked_of("watch", detached, address))

    assert code == 130
    assert f"{detached} goes on" in said
    assert not script.calls["CancelEvaluation"]


def test_a_lost_server_is_told_with_the_way_back(
    ask: list[str],
    address: str,
    script: fakes.Script,
    pauses: list[float],
    capfd: pytest.CaptureFixture[str],
) -> None:
    script.failures["WatchEvaluation"] = [fakes.status("UNAVAILABLE", "Socket closed")] * 6

    assert run([*ask, "--explainer", "grad_cam", "--server", address]) == 2
    said = capfd.readouterr().err
    assert f"heatproof evaluations watch evaluations/e1 --server {address}" in said
    assert len(pauses) == 5


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("value", ["127.0.0.1:1", "nowhere"])
def test_a_wrong_address_of_the_variable_is_told_to_come_from_there(
    value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEATPROOF_SERVER", value)
    assert run(["metrics"]) == 2
    assert "the variable HEATPROOF_SERVER has this address" in capfd.readouterr().err

    monkeypatch.delenv("HEATPROOF_SERVER")
    assert run(["metrics", "--server", value]) == 2
    assert "HEATPROOF_SERVER" not in capfd.readouterr().err
