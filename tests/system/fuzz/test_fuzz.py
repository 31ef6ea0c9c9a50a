"""Ten seconds of fuzzing a target; `make fuzz` takes longer."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from tests.system.fuzz.requests import Answer
from tests.system.fuzz.targets import TARGETS

SECONDS = 10


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_read_or_refused(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize(
    ("name", "function"), [("models", "load_model"), ("images", "decode_image")]
)
def test_a_parser_that_breaks_is_noticed(
    name: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError

    monkeypatch.setattr(f"tests.system.fuzz.targets.{function}", broken)
    with pytest.raises(IndexError):
        TARGETS[name].run(b"")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(grpc.StatusCode.INTERNAL, "a fault"),
        Answer(grpc.StatusCode.UNKNOWN, ""),
        Answer(grpc.StatusCode.INVALID_ARGUMENT, "<_io.BytesIO object at 0x7fdd6d4ca200>"),
        Answer(grpc.StatusCode.NOT_FOUND, "/tmp/data/blobs/ab"),  # noqa: S108  # a path that must not be told
    ],
)
def test_an_answer_that_tells_too_much_is_noticed(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.system.fuzz.requests._called", lambda *_: answer)
    with pytest.raises(AssertionError):
        TARGETS["requests"].run(b"\0")


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes_and_changed_seeds_are_refused_at_worst(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.system.fuzz", name, f"-max_total_time={SECONDS}"]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [*command, "-seed=1"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert "stat::number_of_executed_units" in done.stderr
