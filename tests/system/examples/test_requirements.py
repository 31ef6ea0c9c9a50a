"""Examples that only ask the service run where torch is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WITHOUT_TORCH = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
runpy.run_path(sys.argv[1], run_name="example")
"""


@pytest.mark.parametrize(
    "example",
    [
        "comparing_models/background.py",
        "comparing_models/compare.py",
        "comparing_models/images.py",
        "layer_masking/compare.py",
        "layer_masking/features.py",
    ],
)
def test_asking_needs_no_torch(example: str) -> None:
    script = ROOT / "examples" / example
    command = [sys.executable, "-c", WITHOUT_TORCH, str(script)]
    folders = f"{ROOT}:{script.parent}"
    subprocess.run(command, check=True, cwd=ROOT, env={"PYTHONPATH": folders}, timeout=60)
