"""examples/ci/gitlab.yml, run; `tests.system.pipelines.jobs` says what is real."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.client.forges.fake_forges import FakeGitLab
from tests.system.pipelines.jobs import Ended, Project

CI = {
    "heatproof": {
        "extends": ".heatproof",
        "variables": {
            "HEATPROOF_PACKAGE": "heatproof[server,report] @ git+https://example.com/heatproof",
            "HEATPROOF_MODEL": "sound.onnx",
            "HEATPROOF_IMAGES": "images",
            "HEATPROOF_POLICY": "policy.toml",
        },
    }
}


@pytest.fixture
def project(workspace: Path, programs: Path, gitlab: FakeGitLab) -> Project:
    return Project(workspace, programs, gitlab, CI)


@pytest.fixture
def gate(project: Project, served: str) -> Callable[..., Ended]:
    def run(**variables: str) -> Ended:
        return project.run("heatproof", HEATPROOF_SERVER=served, **variables)

    return run


def test_the_branch_keeps_a_baseline_and_merge_requests_are_held_against_it_in_one_note(
    gate: Callable[..., Ended], gitlab: FakeGitLab, workspace: Path
) -> None:
    main = gate(branch="main")
    assert main.code == 0, main.log
    assert "main has no artifact heatproof:heatproof-report/baseline.json" in main.log
    assert not gitlab.bodies
    installed = (workspace / ".heatproof-environment" / "installed").read_text()
    assert "heatproof[server,report] @ git+https://example.com/heatproof" in installed

    passed = gate()
    assert passed.code == 0, passed.log
    (first,) = gitlab.bodies
    assert "PASS" in first
    assert "gainst the baseline" in first
    assert {path.name for path in passed.files} == {
        "report.json", "junit.xml", "report.md", "report.html"
    }  # fmt: skip

    failed = gate(HEATPROOF_MODEL="crippled.onnx")
    assert failed.code == 1, failed.log
    (second,) = gitlab.bodies
    assert "FAIL" in second
    assert "(<https://gitlab.example/jobs/31/artifacts/browse/heatproof-report>)" in second
    assert failed.junit is not None
    suite = ET.parse(failed.junit).getroot().find("testsuite")  # noqa: S314  # our own output
    assert suite is not None
    assert suite.attrib["failures"] == "2"

    policy = workspace / "policy.toml"
    policy.write_text(policy.read_text().replace("min = 0.5", "mini = 0.5"))
    wrong = gate()
    assert wrong.code == 2, wrong.log
    (third,) = gitlab.bodies
    assert "NO VERDICT" in third
    assert wrong.junit is not None  # with an error, which GitLab shows


def test_what_fails_on_the_branch_becomes_no_baseline(
    gate: Callable[..., Ended], gitlab: FakeGitLab
) -> None:
    done = gate(branch="main", HEATPROOF_MODEL="crippled.onnx", HEATPROOF_BASELINE="none")
    assert done.code == 1
    assert not gitlab.kept


def test_a_note_that_is_refused_changes_no_verdict(
    gate: Callable[..., Ended], gitlab: FakeGitLab
) -> None:
    done = gate(
        GITLAB_TOKEN="",
        HEATPROOF_BASELINE="sound.onnx",
        HEATPROOF_ARGUMENTS="--seed-is-no-option",
    )
    assert done.code == 2
    assert "GITLAB_TOKEN is not set" in done.log
    assert not gitlab.bodies


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"HEATPROOF_PACKAGE": ""}, "HEATPROOF_PACKAGE is empty"),
        ({"HEATPROOF_MODEL": ""}, "HEATPROOF_MODEL is empty"),
        ({"HEATPROOF_IMAGES": ""}, "HEATPROOF_IMAGES is empty"),
        ({"HEATPROOF_ARGUMENTS": "--classes 'a"}, "open quote"),
    ],
)
def test_a_variable_that_is_missing_ends_the_job_before_anything_is_installed(
    project: Project, workspace: Path, variables: dict[str, str], told: str
) -> None:
    done = project.run("heatproof", **variables)
    assert done.code == 2
    assert told in done.log
    assert not (workspace / ".heatproof-environment").exists()
