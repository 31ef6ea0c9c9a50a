"""Gates that fail tests."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Unpack

import pytest

from heatproof.client import Client, GateReport, UsageError
from heatproof.client.clients.flows.datasets import DatasetSource
from heatproof.client.clients.flows.gates import GateQuestion
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.policies import POLICY_FILE, PolicySource
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.rows import ClassNames

_NO_FILE_NAME: Final = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges models for a test.

    Attributes:
        client: leads to the server.
        test: the test's id, by which its reports are named.
        reports: folder for reports; None: none are written.
        policy: rules where the test names none; None: those of the current folder.
        preprocessing: how models read images where neither test nor policy says it.
        numbers: of the gates of the test, which tell their reports apart.
    """

    client: Client
    test: str
    reports: Path | None
    policy: str | None
    preprocessing: str | None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __call__(
        self,
        model: ModelSource,
        images: DatasetSource,
        *,
        policy: PolicySource | None = None,
        **question: Unpack[GateQuestion],
    ) -> GateReport:
        """Evaluates a model by a policy; fails the test if it may not ship.

        Args:
            model: as of `Client.gate`.
            images: as of `Client.gate`.
            policy: likewise; by default that of `heatproof_policy`, else `heatproof.toml`.
            **question: the further arguments of `Client.gate`.

        Raises:
            HeatproofError: no verdict could be made.
        """
        if self.preprocessing is not None:
            question.setdefault("preprocessing", self.preprocessing)
        rules = policy if policy is not None else self._usual_policy()
        report = self.client.gate(model, images, policy=rules, **question)
        self._write(report)
        if not report.passed:
            pytest.fail(refusal(report), pytrace=False)
        return report

    def _usual_policy(self) -> str:
        if self.policy is not None:
            return self.policy
        if not Path(POLICY_FILE).is_file():
            raise UsageError(
                f"no policy: there is no {POLICY_FILE} in {Path.cwd()}; give policy=, or set "
                "heatproof_policy in the configuration of pytest"
            )
        return POLICY_FILE

    def _write(self, report: GateReport) -> None:
        if self.reports is None:
            return
        self.reports.mkdir(parents=True, exist_ok=True)
        name = _NO_FILE_NAME.sub("-", self.test).strip("-")
        if (number := next(self.numbers)) > 1:
            name = f"{name}-{number}"
        report.save(self.reports / f"{name}.json")
        report.write_markdown(self.reports / f"{name}.md")


def refusal(report: GateReport) -> str:
    """Why a model may not ship: the verdict, then each check that blocks, a line each."""
    judged = Judgement.of(report, Content.of(report, ClassNames()))
    blocking = [row for row in judged.checks if row.blocking]
    lines = [f"{row.subject}: {row.outcome}: {row.message}" for row in blocking]
    return "\n".join((f"heatproof: {judged.line} of {judged.model}: {judged.tally}", *lines))
