"""`heatproof ci comment`: one comment on a change, over real sockets."""

import re
from pathlib import Path

import pytest

from heatproof.client.command.application import run
from heatproof.client.forges import api
from tests.client.forges.fake_forges import TOKEN, Answer, FakeForge, FakeGitHub, FakeGitLab


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> FakeForge:
    found: FakeForge = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.md"
    path.write_text("## PASS\n")
    return path


def comment(report: Path, *arguments: str) -> int:
    return run(["ci", "comment", str(report), *arguments])


def writes(forge: FakeForge) -> list[str]:
    return [one.method for one in forge.requests if one.method != "GET"]


def test_the_first_run_writes_a_comment_and_the_next_bring_it_up_to_date(
    forge: FakeForge, report: Path
) -> None:
    for index in range(5):
        forge.say(f"about something else {index}, <!-- heatproof gate: heatproof -->")
    assert comment(report) == 0
    forge.say("thanks")
    report.write_text("## FAIL\n")
    assert comment(report) == 0

    assert len(forge.bodies) == 7
    ours = forge.bodies[5]
    assert ours.startswith("<!-- heatproof gate: heatproof -->\n## FAIL\n")
    assert "PASS" not in ours
    assert "commit c0ffeec0ff" in ours
    assert re.search(r"\[run\]\(<https://\S+31>\)", ours)
    assert len(writes(forge)) == 2


def test_gates_of_other_names_have_comments_of_their_own(forge: FakeForge, report: Path) -> None:
    for name in ("a", "ab", "a"):
        assert comment(report, "--name", name) == 0
    assert [body.split("\n")[0] for body in forge.bodies] == [
        "<!-- heatproof gate: a -->", "<!-- heatproof gate: ab -->"
    ]  # fmt: skip


def test_a_comment_that_somebody_else_has_copied_is_left_alone(
    forge: FakeForge, report: Path
) -> None:
    forge.strangers.add(forge.say("<!-- heatproof gate: heatproof -->\ncopied"))
    for _ in range(2):
        assert comment(report) == 0
    assert len(forge.bodies) == 2
    assert forge.bodies[0].endswith("copied")


def test_what_is_too_long_is_left_out_and_named(github: FakeGitHub, report: Path) -> None:
    folded = "<details><summary>Clean predictions</summary>\n\n" + "x\n" * 40_000 + "\n</details>\n"
    report.write_text(f"## FAIL\n\n{folded}")
    assert comment(report, "--link", "Report=https://example.com/a?b=c") == 0
    (body,) = github.bodies
    assert len(body) <= 65_536
    assert "Left out, for this would be too long: “Clean predictions”" in body
    assert "[Report](<https://example.com/a?b=c>) · commit" in body


@pytest.mark.parametrize("held", [None, b" \n", b"\xff"])
def test_where_the_report_is_missing_the_comment_says_so(
    forge: FakeForge, tmp_path: Path, capfd: pytest.CaptureFixture[str], held: bytes | None
) -> None:
    if held is not None:
        (tmp_path / "gone.md").write_bytes(held)
    assert comment(tmp_path / "gone.md") == 2
    (body,) = forge.bodies
    assert "NO VERDICT" in body
    assert "which the gate should have written" in body
    assert "gone.md" in capfd.readouterr().err


def test_a_run_of_no_change_has_nothing_to_comment_on(
    github: FakeGitHub, event: Path, report: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    event.write_text('{"ref": "refs/heads/main", "issue": {"number": 3}}')
    assert comment(report) == 0
    assert not github.requests
    assert "nothing to comment on" in capfd.readouterr().err
    assert comment(report, "--number", "7") == 0
    event.write_text('{"issue": {"number": 7, "pull_request": {}}}')
    assert comment(report) == 0
    assert len(github.bodies) == 1


def test_gitlabs_own_notes_are_no_comments(gitlab: FakeGitLab, report: Path) -> None:
    gitlab.say("<!-- heatproof gate: heatproof -->", system=True)
    assert comment(report) == 0
    assert len(gitlab.bodies) == 2


def test_a_forge_that_is_busy_is_asked_again_but_never_to_write_twice(
    forge: FakeForge, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(api.time, "sleep", slept.append)
    forge.failures["GET"] = [Answer(502), Answer(429)]
    forge.failures["POST"] = [Answer(503)]
    assert comment(report) == 2
    assert writes(forge) == ["POST"]
    assert slept == [1.0, 4.0]
    forge.failures["GET"] = [Answer(502)] * 3
    assert comment(report) == 2
    assert not forge.bodies


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(403, {"message": "Resource not accessible"}), "may not do this"),
        (Answer(401, ["no"]), "the token"),
        (Answer(404, {"message": "Not Found"}), "404 Not Found"),
        (Answer(200, b"<html>"), "no JSON"),
        (Answer(200, {"data": []}), "in another form"),
        (Answer(200, [], {"Link": '<https://evil.example/next>; rel="next"'}), "elsewhere"),
    ],
)
def test_a_forge_that_refuses_or_says_something_else_is_an_error_that_holds_no_token(
    forge: FakeForge,
    report: Path,
    capfd: pytest.CaptureFixture[str],
    answer: Answer,
    told: str,
) -> None:
    forge.failures["GET"] = [answer]
    assert comment(report) == 2
    shown = capfd.readouterr()
    assert told in shown.err
    assert "Traceback" not in shown.err
    assert TOKEN not in shown.err + shown.out
    assert not forge.bodies


def test_a_forge_that_cannot_be_reached_is_an_error(
    github: FakeGitHub,
    report: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.time, "sleep", lambda _: None)
    for address, told in (("http://127.0.0.1:1", "cannot be reached"), ("file:///", "no address")):
        monkeypatch.setenv("GITHUB_API_URL", address)
        assert comment(report) == 2
        assert told in capfd.readouterr().err
    assert not github.requests


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "a --> b"], "no name of a comment"),
        (["--name", "a--b"], "no name of a comment"),
        (["--link", "https://example.com"], "TEXT=URL"),
        (["--link", "a=javascript:alert(1)"], "TEXT=URL"),
        (["--number", "0"], "number"),
        (["--on", "bitbucket"], "bitbucket"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_asked(
    github: FakeGitHub,
    report: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    assert comment(report, *arguments) == 2
    assert told in capfd.readouterr().err
    assert not github.requests


@pytest.mark.parametrize(
    ("forge", "variable"),
    [("github", "GITHUB_TOKEN"), ("github", "GITHUB_REPOSITORY"), ("gitlab", "CI_PROJECT_ID"),
     ("gitlab", "GITLAB_TOKEN")],
    indirect=["forge"],
)  # fmt: skip
def test_a_variable_that_is_missing_is_named(
    forge: FakeForge,
    report: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.delenv(variable)
    assert comment(report) == 2
    assert variable in capfd.readouterr().err
    assert not forge.requests


def test_outside_of_a_ci_the_forge_must_be_named(
    report: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert comment(report) == 2
    assert "--on github or gitlab" in capfd.readouterr().err
