"""Where the seconds of a cold gate go: one image, a server of its own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.networks import BUNDLED, small
from benchmarks.sections import Section, Table
from benchmarks.service.uncached import UNCACHED
from heatproof.client import Client
from heatproof.graphs.files.saving import to_bytes

PHOTOGRAPHS: Final = BUNDLED.parents[1] / "photographs"
POLICY: Final = """
explainers = ["grad_cam"]
removals = ["black"]
min_images = 1
[model.preprocessing]
preset = "tf"
[[checks]]
metric = { deletion = { grid = 7, steps = 7 } }
max = 1.0
on = "mean"
[[checks]]
metric = { insertion = { grid = 7, steps = 7 } }
min = 0.0
on = "mean"
"""
_GATE: Final = "heatproof gate, one image"
_AGAIN: Final = "the same gate again"
_BESIDE: Final = (
    "Beside the gate on the warm server, which is passes and verdict, the cold command takes "
    "{:.2f} s."
)
COMMAND: Final = (sys.executable, "-m", "heatproof.client")


def section(*, quick: bool) -> Section:
    """Runs the command, then takes its steps one by one."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder, "policy.toml")
        policy.write_text(POLICY, encoding="utf-8")
        photograph = min(PHOTOGRAPHS.glob("*.jpg"))
        gate = ("gate", f"--model={BUNDLED}", f"--images={photograph}", f"--policy={policy}")
        commands = {
            "heatproof --version": ["--version"],
            "heatproof --help": ["--help"],
            _GATE: gate,
        }
        walls = {name: _median(partial(_run, words), rounds) for name, words in commands.items()}
        steps = [list(_steps(photograph, policy)) for _ in range(rounds)]
    rows = [(one[0][0], median(taken for _, taken in one)) for one in zip(*steps, strict=True)]
    return Section(
        "Starting",
        "The command with a server of its own and the bundled EfficientNet-Lite0: Grad-CAM, "
        "deletion and insertion of one photograph. Then the same steps by the Python client, on a "
        "server just started. Medians of the wall's clock, files in the system's cache.",
        (
            Table(("command", "s"), tuple((k, f"{v:.2f}") for k, v in walls.items())),
            _BESIDE.format(walls[_GATE] - dict(rows)[_AGAIN]),
            Table(("step", "s"), tuple((name, f"{taken:.2f}") for name, taken in rows)),
        ),
    )


def _run(arguments: Sequence[str]) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:  # a verdict either way
        raise RuntimeError(done.stderr)


def _median(call: Callable[[], object], rounds: int) -> float:
    return median(_seconds(call) for _ in range(rounds))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _steps(photograph: Path, policy: Path) -> Iterator[tuple[str, float]]:
    """Each step of a gate and what it takes."""
    importing = [sys.executable, "-c", "import heatproof.client.command.evaluations.gate"]
    yield (
        "an interpreter with the command's modules",
        _seconds(lambda: subprocess.run(importing, check=True)),
    )
    start = time.perf_counter()
    client = Client.embedded()
    yield "the server answers", time.perf_counter() - start
    with _closing(client) as ended:
        yield (
            "its worker has described a small network",
            _seconds(lambda: client.inspect(to_bytes(small()))),
        )
        yield "upload and description of the model", _seconds(lambda: client.inspect(BUNDLED))
        names = client.inspect(BUNDLED).name, client.upload_dataset([photograph]).name
        yield (
            "plan: parsing, rewriting to RGB in [0, 1]",
            _seconds(lambda: client.estimate_gate(*names, policy=policy)),
        )
        for name in ("the gate: sessions, passes, verdict", _AGAIN):
            yield name, _seconds(lambda: client.gate(*names, policy=policy, **UNCACHED))
    yield "the server ends", ended[0]


@contextmanager
def _closing(client: Client) -> Iterator[list[float]]:
    """Closes a client; the list has the seconds of it afterwards."""
    taken: list[float] = []
    try:
        yield taken
    finally:
        taken.append(_seconds(client.close))
