"""What each process loads before it has anything to do: start-up is mostly imports."""

import subprocess
import sys

import pytest

HEAVY = (
    "scipy.stats",
    "scipy.sparse",
    "scipy.ndimage",
    "scipy.spatial",
    "skimage.segmentation._slic",
)
"""What few metrics, regions and removal operators use."""

RUNTIME = ("onnx", "onnx_ir", "onnxruntime", "onnxscript")

SHOWN = ("pandas", "jinja2", "matplotlib", "torch")

LOADS = {
    "import heatproof.server.starting": (*HEAVY, *RUNTIME, "sqlalchemy", "grpc", "numpy"),
    "import heatproof.server.application": (*HEAVY, *RUNTIME, "grpc", "cv2", "heatproof.v1"),
    "import heatproof.server.serving": (*HEAVY, *RUNTIME, *SHOWN),
    "import heatproof.server.worker": (*HEAVY, *RUNTIME, "sqlalchemy", "grpc", "numpy"),
    "from heatproof.server.workers.execution import evaluations, model_cache, models, statistics\n"
    "from heatproof.server.api.codec import worker_documents": (
        *HEAVY, "sqlalchemy", "alembic", "pydantic", "grpc", *SHOWN,
    ),
    "import heatproof.client.command.application": (
        "numpy", "grpc", "google", "heatproof.v1", "heatproof.evaluators", *SHOWN,
    ),
    "from heatproof.client.command.application import run\nrun(['--help'])": (
        "numpy", "grpc", "google", "heatproof.v1", *SHOWN,
    ),
    "import heatproof.client.command.evaluations.gate": (
        "scipy", "cv2", "PIL", "sqlalchemy", "heatproof.evaluators", *RUNTIME, *SHOWN,
    ),
    "from heatproof.client import Client": (
        "scipy", "cv2", "PIL", "sqlalchemy", "heatproof.evaluators", *RUNTIME, *SHOWN,
    ),
}  # fmt: skip
"""Statements that a process begins with, and what they must leave for whoever needs it."""


@pytest.mark.parametrize("statement", LOADS)
def test_nothing_is_loaded_that_may_not_be_needed(statement: str) -> None:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    assert [module for module in LOADS[statement] if module in loaded] == []
