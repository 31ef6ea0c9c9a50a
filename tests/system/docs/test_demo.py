"""`make demo`, and what the README says it finds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from heatproof.client import GateReport
from heatproof.v1.gate_pb2 import Verdict
from heatproof.v1.results_pb2 import MetricResult

ROOT = Path(__file__).parents[3]
FIGURES = re.compile(
    r"Grad-CAM reaches ([\d.]+), 95 % interval \[([\d.-]+), ([\d.-]+)\].*?"
    r"noise ([\d.-]+) \[([\d.-]+), ([\d.-]+)\]",
    re.DOTALL,
)


def figures(result: MetricResult) -> list[str]:
    """A score and its interval as the README rounds them."""
    interval = result.summary.interval
    return [f"{value:.2f}" for value in (result.summary.value, interval.lower, interval.upper)]


@pytest.mark.timeout(900)
def test_the_demo_passes_with_the_figures_of_the_readme() -> None:
    make = ["make", "demo", f"DEMO={sys.prefix}", f"--assume-old={sys.prefix}/installed"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, timeout=880, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = GateReport.load(ROOT / "report" / "report.json")
    assert report.verdict.outcome == Verdict.OUTCOME_PASS
    found = {
        result.explainer.WhichOneof("explainer"): figures(result)
        for result in report.results
        if result.metric.WhichOneof("metric") == "occlusion_corrected_deletion"
    }
    told = FIGURES.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert told
    assert list(told.groups()) == found["grad_cam"] + found["random"]
