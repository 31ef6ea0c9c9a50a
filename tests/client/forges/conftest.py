import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.forges.fake_forges import TOKEN, FakeGitHub, FakeGitLab, listening

VARIABLES = (
    "GITHUB_ACTIONS", "GITHUB_API_URL", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_RUN_ID",
    "GITHUB_SERVER_URL", "GITHUB_SHA", "GITHUB_STEP_SUMMARY", "GITHUB_TOKEN", "GITHUB_WORKSPACE",
    "GITLAB_CI", "GITLAB_TOKEN", "CI_API_V4_URL", "CI_COMMIT_SHA", "CI_JOB_TOKEN", "CI_JOB_URL",
    "CI_MERGE_REQUEST_IID", "CI_PROJECT_ID",
)  # fmt: skip
"""What a CI sets that might run these tests."""


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def event(tmp_path: Path) -> Path:
    path = tmp_path / "event.json"
    held = {"pull_request": {"number": 7, "head": {"sha": "c0ffee" * 6 + "1234"}}}
    path.write_text(json.dumps(held))
    return path


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, event: Path) -> Iterator[FakeGitHub]:
    """A repository, and the variables of a run on its pull request."""
    forge = FakeGitHub()
    with listening(forge):
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": forge.address,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "owner/net",
            "GITHUB_RUN_ID": "31",
            "GITHUB_SHA": "0" * 40,
            "GITHUB_TOKEN": TOKEN,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield forge


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitLab]:
    """A project, and the variables of a job on its merge request."""
    forge = FakeGitLab()
    with listening(forge):
        variables = {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{forge.address}/api/v4",
            "CI_COMMIT_SHA": "c0ffee" * 6 + "1234",
            "CI_JOB_TOKEN": TOKEN,
            "CI_JOB_URL": "https://gitlab.example/jobs/31",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_PROJECT_ID": "42",
            "GITLAB_TOKEN": TOKEN,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield forge
