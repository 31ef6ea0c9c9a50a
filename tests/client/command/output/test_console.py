"""Progress in a log without a terminal."""

import pytest

from heatproof.client.clients.progress import Progress, Stage
from heatproof.client.command.output import console


def at(done: int, total: int) -> Progress:
    return Progress(Stage.EVALUATE, done, total, done // 10, 10)


def test_a_log_tells_the_share_and_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(console.err, "print", lines.append)
    times = iter([0.0, 30.0, 60.0, 70.0])
    progress = console.PlainProgress(clock=lambda: next(times))

    for step in (at(0, 100), at(20, 100), at(24, 100), at(40, 100), at(90, 90)):
        progress(step)

    assert lines == [
        "evaluate: 0 %, 0 of 10 images, 0 predictions",
        "evaluate: 20 %, 2 min 00 s left, 2 of 10 images, 20 predictions",
        "evaluate: 40 %, 1 min 30 s left, 4 of 10 images, 40 predictions",
        "evaluate: 100 %, 9 of 10 images, 90 predictions",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (7800, "2 h 10 min")]
)
def test_lengths_of_time_are_for_people(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text
