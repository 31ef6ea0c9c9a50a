"""What a calibration has found, on a terminal."""

from pathlib import Path

from rich.markup import escape
from rich.text import Text

from heatproof.client.calibration.bounds import Standing
from heatproof.client.calibration.policies import Calibration
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.documents.captions import caption
from heatproof.client.documents.messages import read
from heatproof.client.documents.results import GateReport
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import Estimate, number
from heatproof.client.report.rows import ClassNames
from heatproof.v1.explainers_pb2 import Explainer

_STYLES = {Standing.CHECK: "green", Standing.WARNING: "yellow", Standing.LEFT_OUT: "dim"}


def show_findings(calibration: Calibration) -> None:
    """Prints each metric's figures, and what becomes of it."""
    names = list(calibration.findings[0].controls) if calibration.findings else []
    made = table("metric", "explainer", "this map", *names, "bound", "becomes", right=("bound",))
    for finding in calibration.findings:
        bound = finding.bound
        sign = "≥" if finding.higher_is_better else "≤"
        cells = (
            finding.trial.name,
            caption(read(Explainer, finding.explainer)),
            str(Estimate.of(finding.own)),
            *(str(Estimate.of(summary)) for summary in finding.controls.values()),
            "" if bound.value is None else f"{sign} {number(bound.value)}",
        )
        told = ": ".join(filter(None, (bound.standing.value, bound.reason)))
        made.add_row(*map(escape, cells), Text(told, style=_STYLES[bound.standing]))
    out.print(made)


def show_next_steps(verdict: GateReport, policy: Path, command: str) -> None:
    """Prints what the policy says of the very images it was made on, and what to do with it."""
    content = Content.of(verdict, ClassNames())
    judged = Judgement.of(verdict, content)
    style = "bold green" if verdict.passed else "bold red"
    out.print(Text(f"{policy} is written; by it this model has on these images:", style="bold"))
    out.print(Text(f"{judged.line}: {judged.tally}", style=style))
    out.print("next: read its comments, move bounds where you know better, commit it, and gate:")
    out.print(escape(f"    {command}"), soft_wrap=True)
