"""action.yml, run step by step; `tests.system.pipelines.actions` says what is real."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.forges.fake_forges import TOKEN, FakeGitHub
from tests.client.forges.runner_commands import commands
from tests.system.pipelines.actions import ROOT, Done, Runner, Stand, read_yaml, variables_of


@pytest.fixture
def runner(github: FakeGitHub, environment: Path, workspace: Path, tmp_path: Path) -> Runner:
    """A runner on the pull request 7, whose cache has the environment."""
    event = {"pull_request": {"number": 7, "head": {"sha": "c0ffee" * 6 + "1234"}},
             "repository": {"default_branch": "main"}}  # fmt: skip
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))
    return Runner(
        workspace,
        tmp_path / "temp",
        {"token": TOKEN, "event": event},
        variables_of(github.address, path),
        Stand(environment, tmp_path / "artifacts"),
    )


@pytest.fixture
def gate(runner: Runner, served: str) -> Callable[..., Done]:
    """Runs the action on the workspace's policy."""

    def run(model: str = "sound.onnx", **more: str) -> Done:
        asked = {"images": "images", "policy": "policy.toml", "server": served, **more}
        return runner.run(model=model, **asked)

    return run


def test_a_model_that_passes_one_that_fails_and_a_wrong_policy_share_one_comment(
    gate: Callable[..., Done], github: FakeGitHub, runner: Runner, workspace: Path
) -> None:
    passed = gate()
    assert (passed.failed, passed.code) == ([], 0), passed.log
    assert passed.outputs["exit-code"] == "0"
    assert passed.outputs["outcome"] == "pass"
    (first,) = github.bodies
    assert "PASS" in first
    assert "commit c0ffeec0ff" in first
    assert "[reports](<https://github.example/artifacts/heatproof-report>)" in first
    for name in ("json", "junit", "markdown", "html"):
        assert (workspace / passed.outputs[name]).stat().st_size > 100
    kept = runner.stand.artifacts / "heatproof-report"
    assert {path.name for path in kept.iterdir()} == {
        "report.json", "junit.xml", "report.md", "report.html"
    }  # fmt: skip
    assert "PASS" in passed.summary
    assert all(shown.level == "notice" for shown in commands(passed.log))  # no baseline: skipped

    refused = gate("crippled.onnx")
    assert (refused.failed, refused.code) == (["End as the gate did"], 1), refused.log
    assert refused.outputs["outcome"] == "fail"
    (second,) = github.bodies
    assert "FAIL" in second
    line = 1 + (workspace / "policy.toml").read_text().split("\n").index("[[checks]]")
    (shown,) = [shown for shown in commands(refused.log) if shown.level == "error"]
    assert shown.place == ("policy.toml", line)
    assert "FAIL" in refused.summary

    policy = workspace / "policy.toml"
    policy.write_text(policy.read_text().replace("min = 0.5", "mini = 0.5"))
    wrong = gate()
    assert (wrong.failed, wrong.code) == (["End as the gate did"], 2), wrong.log
    assert wrong.outputs["outcome"] == "error"
    (third,) = github.bodies
    assert "NO VERDICT" in third
    assert "did you mean" in third
    assert [shown.place for shown in commands(wrong.log)] == [("policy.toml", line + 2)]
    assert len(set(runner.stand.keys)) == 1


def test_a_command_line_that_is_wrong_is_told_on_the_change_too(
    gate: Callable[..., Done], github: FakeGitHub, workspace: Path
) -> None:
    (workspace / "heatproof-report").mkdir()
    (workspace / "heatproof-report" / "report.md").write_text("## PASS of an earlier run")
    done = gate(arguments="--no-such-option")
    assert (done.outputs["exit-code"], done.code) == ("2", 2)
    (body,) = github.bodies
    assert "NO VERDICT" in body
    assert "PASS" not in body
    named = gate(server="", baseline="main")
    assert named.code == 2
    (body,) = github.bodies
    assert "would be a baseline of a server" in body
    assert [shown.level for shown in commands(named.log)] == ["error"]


def test_arguments_are_words_as_of_a_shell_and_no_input_is_run(
    gate: Callable[..., Done], workspace: Path
) -> None:
    odd = "$(touch ran); `touch ran` \"a'"
    (workspace / "class names.txt").write_text("red\ngreen\nblue\n")
    (workspace / f"{odd}.onnx").symlink_to(workspace / "sound.onnx")
    done = gate(f"{odd}.onnx", arguments="--classes 'class names.txt'\n--target \"class:green\"")
    assert done.outputs["exit-code"] == "1", done.log  # no other colour is explained as green
    report = json.loads((workspace / done.outputs["json"]).read_text())
    assert report["policy"]["target"] == {"fixed_class": {"name": "green"}}
    assert "green" in done.log
    assert not (workspace / "ran").exists()


def test_a_branch_keeps_its_baseline_and_changes_are_held_against_it(
    gate: Callable[..., Done], github: FakeGitHub, runner: Runner
) -> None:
    first = gate(baseline_artifact="scores", update_baseline="true", comment="false")
    assert first.code == 0, first.log
    assert "main has no artifact scores" in first.log
    kept = runner.stand.artifacts / "scores" / "baseline.json"
    assert not github.bodies

    github.keep("scores", {"baseline.json": kept.read_text()})
    done = gate("crippled.onnx", baseline_artifact="scores")
    assert done.code == 1
    (body,) = github.bodies
    assert "gainst the baseline" in body
    errors = [shown for shown in commands(done.log) if shown.level == "error"]
    assert len(errors) == 2  # the bound, and the regression

    kept.unlink()
    worse = gate("crippled.onnx", baseline_artifact="scores", update_baseline="true")
    assert worse.code == 1
    assert not kept.exists()  # what fails becomes no baseline


def test_a_baseline_that_cannot_be_had_is_no_verdict(
    gate: Callable[..., Done], github: FakeGitHub, runner: Runner, workspace: Path
) -> None:
    (workspace / "heatproof-report").mkdir()
    (workspace / "heatproof-report" / "report.md").write_text("## PASS of another gate")
    done = gate(baseline_artifact="scores", require_baseline="true")
    assert done.failed == ["Fetch the baseline"]
    assert done.outputs["exit-code"] == ""
    (body,) = github.bodies
    assert "NO VERDICT" in body
    assert "PASS" not in body
    runner.github["token"] = "wrong"
    refused = gate(baseline_artifact="scores", comment="false")
    assert refused.failed == ["Fetch the baseline"]
    assert "actions: read" in refused.log


def test_a_comment_that_is_refused_changes_no_verdict(
    gate: Callable[..., Done], github: FakeGitHub, runner: Runner
) -> None:
    runner.github["token"] = "of a fork"
    done = gate()
    assert (done.failed, done.code) == ([], 0)
    assert not github.bodies
    warnings = [shown for shown in commands(done.log) if shown.level == "warning"]
    assert "pull-requests: write" in warnings[-1].message


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"model": ""}, "the input model is missing"),
        ({"images": ""}, "the input images is missing"),
        ({"name": ""}, "the input name is empty"),
        ({"reports": ""}, "the input reports is empty"),
        ({"name": "gate-models/a.onnx"}, "not 'gate-models/a.onnx'"),
        ({"name": "a--b"}, "not 'a--b'"),
        ({"baseline_artifact": "a:b"}, "not 'a:b'"),
        ({"comment": "yes"}, "true or false, not 'yes'"),
        ({"update_baseline": ""}, "true or false, not ''"),
        ({"update_baseline": "true"}, "update-baseline needs baseline-artifact"),
        ({"baseline": "b.json", "baseline_artifact": "b"}, "exclude each other"),
        ({"arguments": "--classes 'a"}, "open quote"),
    ],
)
def test_a_wrong_input_ends_the_run_before_anything_is_installed(
    runner: Runner, github: FakeGitHub, inputs: dict[str, str], told: str
) -> None:
    done = runner.run(**{"model": "sound.onnx", "images": "images", **inputs})
    assert done.failed == ["Check the inputs"]
    assert done.ran == ["Check the inputs"]
    (shown,) = commands(done.log)
    assert told in shown.message
    assert not github.requests


def test_the_environment_is_made_where_the_cache_has_none(runner: Runner, tmp_path: Path) -> None:
    """The script of the step; what Heatproof needs to run comes from this environment."""
    steps = read_yaml(ROOT / "action.yml")["runs"]["steps"]
    (script,) = [step["run"] for step in steps if step["name"] == "Install Heatproof"]
    made = tmp_path / "made"
    python = tmp_path / "programs" / "python3"
    python.parent.mkdir()
    site = sysconfig.get_path("purelib")
    python.write_text(
        f"""#!/bin/sh
        {sys.executable} "$@"
        echo {site} > "$(echo {made}/lib/python*/site-packages)/needed.pth"
        """
    )
    python.chmod(0o755)
    variables = {
        **os.environ,  # where pip finds what builds the wheel
        "FOLDER": str(made),
        "GITHUB_ACTION_PATH": str(ROOT),
        "PATH": f"{python.parent}:{runner.variables['PATH']}",
    }
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    for _ in range(2):
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("heatproof ")
    where = "import heatproof.client; print(heatproof.client.__file__)"
    found = subprocess.run(
        [made / "bin" / "python", "-c", where], capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()).is_relative_to(made)


def test_the_key_of_the_environment_follows_what_is_installed(
    runner: Runner, tmp_path: Path
) -> None:
    """Steps up to the cache, in copies of the tree; what has no part in it changes nothing."""
    tree = tmp_path / "tree"
    for part in ("client/a.py", "protos/a.proto", "pyproject.toml", "constraints.txt", "docs/a.md"):
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        (tree / part).write_text("1")
    (tree / "action.yml").write_text((ROOT / "action.yml").read_text())
    copy = replace(runner, action=tree)
    for part, text in (("docs/a.md", "2"), ("client/a.pyc", "2"), ("protos/a_pb2.py", "2"),
                       ("client/a.py", "2"), ("client/b.py", "1")):  # fmt: skip
        (tree / part).write_text(text)
        copy.run(until="Keep the environment", model="m.onnx", images="i")
    first, second, third, fourth, fifth = runner.stand.keys
    assert first == second == third
    assert len({first, fourth, fifth}) == 3
    assert first.startswith(f"heatproof-Linux-X64-3.{sys.version_info.minor}.")
