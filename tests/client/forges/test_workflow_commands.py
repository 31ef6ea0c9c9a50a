"""`heatproof gate --ci github`: annotations at the policy's lines, and the summary of the step."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heatproof.client.command.application import run
from heatproof.client.forges import workflow_commands
from heatproof.client.forges.policy_lines import PolicyLines
from heatproof.client.forges.workflow_commands import Annotation
from heatproof.client.report.checks import Judgement
from heatproof.client.report.failures import Failure
from heatproof.v1.gate_pb2 import Check, CheckResult, Verdict
from tests.client import fakes
from tests.client.canned import png
from tests.client.forges.runner_commands import commands
from tests.client.report.test_reports import gate_report, judged

POLICY = """\
explainers = ["grad_cam"]
removals = [ "black",
  "mean" ]

[model.preprocessing]
preset = "imagenet"

[[checks]]
metric = "deletion"
max = 0.9

[clean_accuracy]
min = 0.5

[[checks]]
metric = "deletion"
explainer = "grad_cam"
min = 0.1

[[checks]]
metric = { insertion = { grid = 7 } }
min = 0.1
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "policy.toml"
    path.parent.mkdir()
    path.write_text(POLICY)
    return path


@pytest.fixture
def lines(policy: Path, tmp_path: Path) -> PolicyLines:
    found = PolicyLines.of(str(policy), tmp_path)
    assert found is not None
    return found


@pytest.fixture
def gate(  # noqa: PLR0917  # fixtures
    address: str,
    model_file: Path,
    image_folder: Path,
    policy: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> list[str]:
    monkeypatch.chdir(policy.parent)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    question = ["--model", str(model_file), "--images", str(image_folder)]
    return ["gate", *question, "--policy", "policy.toml", "--server", address, "--ci", "github"]


TEXT = st.text(st.sampled_from("ab%:,=\r\n 0DA25\N{BULLET}"))


@given(
    title=TEXT.map(str.strip),
    message=TEXT,
    file=TEXT.map(str.strip),
    line=st.none() | st.integers(1, 10**6),
)
@example(title="100%: a, b", message="%0A\r\n::error::x", file="a,b:c%3A.toml", line=1)
def test_the_runner_reads_what_was_meant(
    title: str, message: str, file: str, line: int | None
) -> None:
    given = {"file": file, "line": "" if line is None else str(line), "title": title}
    log = f"before\n{Annotation('error', title, message, file, line).command}\nafter"
    (found,) = commands(log)
    assert found == ("error", {name: value for name, value in given.items() if value}, message)


def test_what_blocks_is_an_error_what_warns_and_what_is_skipped_less(lines: PolicyLines) -> None:
    report = gate_report()
    first = report.verdict.checks[0]
    del report.verdict.checks[:]
    told = [
        (2, CheckResult.OUTCOME_FAIL, Check.SEVERITY_WARN, False),
        (1, CheckResult.OUTCOME_INCONCLUSIVE, Check.SEVERITY_FAIL, True),
        (-1, CheckResult.OUTCOME_NOT_EVALUATED, Check.SEVERITY_FAIL, True),
        (0, CheckResult.OUTCOME_PASS, Check.SEVERITY_FAIL, False),
        (0, CheckResult.OUTCOME_SKIPPED, Check.SEVERITY_FAIL, False),
    ]
    for check, outcome, severity, blocking in told:
        held = report.verdict.checks.add()
        held.CopyFrom(first)
        held.check, held.outcome, held.severity, held.blocking = check, outcome, severity, blocking
    report.policy.checks.add().CopyFrom(report.policy.checks[1])

    found = workflow_commands.of_verdict(judged(report)[1], lines)

    assert [(one.level, one.line) for one in found] == [
        ("error", 15), ("error", 12), ("notice", 8), ("warning", 20)
    ]  # fmt: skip
    assert {one.file for one in found} == {"rules/policy.toml"}
    assert found[0].title == "Heatproof: deletion · grad_cam · black"
    assert found[0].message.startswith("inconclusive: 0.5 in [0.4, 0.6]")


def test_of_more_than_github_shows_the_last_counts_the_others() -> None:
    report = gate_report()
    checks = [report.verdict.checks[0]] * 25
    del report.verdict.checks[:]
    report.verdict.checks.extend(checks)
    content, made = judged(report)
    assert isinstance(made, Judgement)
    found = workflow_commands.of_verdict(made, None)
    assert len(found) == 10
    assert found[-1].message.startswith("16 more")
    assert content.results
    del report.verdict.checks[10:]
    assert len(workflow_commands.of_verdict(judged(report)[1], None)) == 10


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("policy.checks[1].min", 18),
        ("policy.checks[1].max", 15),
        ("checks[2].metric.insertion.grid", 21),
        ("spec.metrics[1].insertion.grid", 21),  # the second metric is that of the third check
        ("spec.metrics[0].deletion.grid", 9),
        ("spec.metrics[9].deletion", None),
        ("policy.clean_accuracy", 12),
        ("spec.explainers[0].rise.masks", 1),
        ("spec.removals[1]", 2),
        ("spec.preprocessing.crop_fraction", 5),
        ("spec.output", 5),
        ("images[3].label", None),
        ("", None),
    ],
)
def test_an_error_is_shown_where_the_field_that_it_names_stands(
    lines: PolicyLines, field: str, line: int | None
) -> None:
    found = workflow_commands.of_failure(Failure("UsageError", "no", field), lines)
    assert (found.level, found.line) == ("error", line)
    assert found.file == ("rules/policy.toml" if line else "")


@pytest.mark.parametrize(
    ("text", "line"),
    [("seed = 1\nmin =\n", 2), ("seed = 1\n\n[a]\n[a]\n", 4), ('seed = 1\ntext = """\nab\n', 3)],
)
def test_what_is_no_toml_is_shown_where_it_breaks(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "p.toml").write_text(text)
    held = PolicyLines.of(str(tmp_path / "p.toml"), tmp_path)
    found = workflow_commands.of_failure(Failure("PolicyError", "no TOML"), held)
    assert (found.file, found.line) == ("p.toml", line)


def test_a_preset_and_a_file_that_is_not_there_have_no_lines(tmp_path: Path) -> None:
    for source in ("research", str(tmp_path / "gone.toml"), str(tmp_path)):
        assert PolicyLines.of(source, tmp_path) is None


def test_a_gate_says_what_blocks_in_the_log_and_in_the_summary(
    gate: list[str], script: fakes.Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script.verdict = Verdict.OUTCOME_FAIL
    (tmp_path / "summary.md").write_text("before\n")
    assert run(gate) == 1
    shown = commands(capfd.readouterr().out)
    assert [one.place for one in shown] == [("rules/policy.toml", line) for line in (8, 15, 20)]
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n## ❌ Heatproof gate: FAIL")


@pytest.mark.parametrize("name", ["::error::forged.png", "::stop-commands::x.png"])
def test_names_of_images_are_no_commands(
    gate: list[str],
    script: fakes.Script,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    images = Path(gate[gate.index("--images") + 1])
    (images / name).write_bytes(png())
    script.verdict = Verdict.OUTCOME_FAIL
    assert run(gate) == 1
    said = capfd.readouterr().out
    assert name in said
    assert len(commands(said)) == 3
    assert not any("forged" in shown.message for shown in commands(said))


def test_one_that_passes_says_nothing_but_its_summary(
    gate: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(gate) == 0
    assert not commands(capfd.readouterr().out)
    assert "PASS" in (tmp_path / "summary.md").read_text()


def test_without_a_verdict_one_annotation_says_why(
    gate: list[str],
    script: fakes.Script,
    policy: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script.failures["GateEvaluation"] = [fakes.status("FAILED_PRECONDITION", "differs: seed")]
    assert run(gate) == 2
    (shown,) = commands(capfd.readouterr().out)
    assert shown.message.startswith("UnjudgedError: ")
    assert "differs: seed" in shown.message
    policy.write_text(POLICY.replace("max = 0.9", "maxi = 0.9"))
    assert run(gate) == 2
    (shown,) = commands(capfd.readouterr().out)
    assert shown.place == ("rules/policy.toml", 10)
    assert "did you mean 'checks[0].max'?" in shown.message
    policy.unlink()
    assert run(gate) == 2
    (shown,) = commands(capfd.readouterr().out)
    assert shown.place == ("", 0)
    assert (tmp_path / "summary.md").read_text().count("NO VERDICT") == 3


def test_a_summary_that_cannot_be_written_changes_no_verdict(
    gate: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/gone/summary.md")
    assert run(gate) == 0
    assert "cannot write the summary" in capfd.readouterr().err
