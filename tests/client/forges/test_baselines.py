"""`heatproof ci baseline`: the file that the runs of a branch keep, over real sockets."""

import json
from pathlib import Path

import pytest

from heatproof.client.command.application import run
from tests.client.forges.fake_forges import FakeGitHub, FakeGitLab


def baseline(model: str) -> str:
    return json.dumps({"model": model, "evaluation": {}, "image_results": []})


def fetched(output: Path, artifact: str = "scores", *arguments: str) -> int:
    asked = ["--artifact", artifact, "--branch", "main", "--output", str(output)]
    return run(["ci", "baseline", *asked, *arguments])


def test_the_newest_artifact_of_the_branch_is_taken(github: FakeGitHub, tmp_path: Path) -> None:
    for model, at in (("old", "2026-01-01"), ("new", "2026-01-03"), ("middle", "2026-01-02")):
        github.keep("scores", {"b.json": baseline(model), "readme.txt": "x"}, at=f"{at}T00:00:00Z")
    github.keep("others", {"b.json": baseline("others")}, at="2026-02-01T00:00:00Z")
    output = tmp_path / "b.json"

    assert fetched(output) == 0
    assert json.loads(output.read_text())["model"] == "new"


def test_no_artifact_of_a_fork_another_branch_or_past_its_time_is_taken(
    github: FakeGitHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    late = "2026-09-09T00:00:00Z"
    files = {"b.json": baseline("poisoned")}
    github.keep("scores", {"b.json": baseline("ours")})
    for _ in range(3):  # more than a page before ours
        github.keep("scores", files, at=late, fork=True)
        github.keep("scores", files, "topic", at=late)
        github.keep("scores", files, at=late, expired=True)
    output = tmp_path / "b.json"

    assert fetched(output) == 0
    assert json.loads(output.read_text())["model"] == "ours"
    github.artifacts.pop(0)
    assert fetched(output) == 0
    assert not output.exists()  # an old one would pass for the branch's
    assert "main has no artifact scores (any more)" in capfd.readouterr().err
    assert fetched(output, "scores", "--required") == 2
    assert "--update-baseline" in capfd.readouterr().err


def test_a_jobs_own_token_fetches_what_a_branch_has_kept(
    gitlab: FakeGitLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    gitlab.kept["main", "gate", "out/b c.json"] = baseline("main's")
    output = tmp_path / "b.json"

    assert fetched(output, "gate:out/b c.json") == 0
    assert json.loads(output.read_text())["model"] == "main's"
    assert fetched(output, "other:out/b c.json") == 0
    assert not output.exists()
    gitlab.kept["main", "gate: [a, b]", "out/b.json"] = baseline("the matrix's")
    assert fetched(output, "gate: [a, b]:out/b.json") == 0
    assert json.loads(output.read_text())["model"] == "the matrix's"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.json": "{}", "b.json": "{}"}, "2 JSON files"),
        ({"readme.txt": ""}, "0 JSON files"),
        ({"b.json": "[]"}, "is no report"),
    ],
)
def test_an_artifact_that_is_no_baseline_is_an_error(
    github: FakeGitHub,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    files: dict[str, str],
    told: str,
) -> None:
    github.keep("scores", files)
    assert fetched(tmp_path / "b.json") == 2
    assert told in capfd.readouterr().err


def test_what_is_no_zip_file_is_an_error(
    github: FakeGitHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    github.keep("scores", {})
    github.files[900] = b"PK and nothing"
    assert fetched(tmp_path / "b.json") == 2
    assert "no zip file" in capfd.readouterr().err


@pytest.mark.parametrize("artifact", ["gate", "gate:", ":path"])
def test_on_gitlab_an_artifact_is_a_job_and_a_path(
    gitlab: FakeGitLab, tmp_path: Path, capfd: pytest.CaptureFixture[str], artifact: str
) -> None:
    assert fetched(tmp_path / "b.json", artifact) == 2
    assert "JOB:PATH" in capfd.readouterr().err
    assert not gitlab.requests


def test_names_of_variables_that_a_run_does_not_have_are_refused(
    github: FakeGitHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "b.json"
    old.write_text("kept")
    for artifact, branch, told in (("", "main", "--artifact"), ("scores", " ", "--branch")):
        asked = ["--artifact", artifact, "--branch", branch, "--output", str(old)]
        assert run(["ci", "baseline", *asked]) == 2
        assert f"{told} is empty" in capfd.readouterr().err
    assert old.read_text() == "kept"
    assert not github.requests


def test_where_the_file_cannot_be_written_nothing_is_fetched(
    github: FakeGitHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fetched(tmp_path / "gone" / "b.json") == 2
    assert "does not exist" in capfd.readouterr().err
    assert not github.requests
