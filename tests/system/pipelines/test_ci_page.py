"""docs/ci.md: its blocks run as a CI would run them, and its tables say what the files say.

The evaluations are those of a server of canned answers: what a gate computes is no matter here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from heatproof.v1.gate_pb2 import Verdict
from tests.client.canned import png
from tests.client.conftest import POLICY, address, script
from tests.client.fakes import Script
from tests.client.forges.fake_forges import TOKEN, FakeGitHub, FakeGitLab
from tests.client.report.test_junit import require_junit
from tests.system.pipelines.actions import ROOT, Runner, Stand, read_yaml, variables_of
from tests.system.pipelines.expressions import filled
from tests.system.pipelines.jobs import Project

__all__ = ["address", "script"]  # a server that follows a script

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
JENKINSFILE = ROOT / "examples" / "ci" / "Jenkinsfile"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def yaml_block(key: str) -> dict[str, Any]:
    """The block of the page that has a key at its top."""
    read = [YAML(typ="safe", pure=True).load(StringIO(text)) for text in blocks("yaml")]
    (found,) = [block for block in read if key in block]
    return dict(found)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as the page takes it to be."""
    made = tmp_path / "repository"
    (made / "photographs").mkdir(parents=True)
    for index in range(3):
        (made / "photographs" / f"{index}.png").write_bytes(png(grey=index))
    (made / "labels.csv").write_text("file,label\n0.png,0\n1.png,1\n2.png,2\n")
    (made / "model.onnx").write_bytes(b"no bytes that a server of canned answers looks at")
    (made / "heatproof.toml").write_text(POLICY)
    shutil.copytree(ROOT / "examples" / "ci", made / "examples" / "ci")
    subprocess.run(["git", "init", "--quiet", made], check=True)
    return made


@pytest.fixture
def variables(address: str, environment: Path, programs: Path) -> dict[str, str]:
    path = f"{programs}:{environment / 'bin'}:{os.environ['PATH']}"
    return {"HEATPROOF_SERVER": address, "PATH": path, "LANG": "C.UTF-8"}


def shell(
    text: str, folder: Path, variables: Mapping[str, str], *flags: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", *flags, "-c", text],
        cwd=folder,
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_the_workflow_is_valid_by_the_published_schema(tmp_path: Path) -> None:
    (tmp_path / "workflow.yml").write_text(blocks("yaml")[0])
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.github-workflows", tmp_path / "workflow.yml"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("event", ["pull_request", "push"])
def test_the_workflow_runs_the_action(  # noqa: PLR0917  # fixtures and cases
    repository: Path,
    environment: Path,
    variables: dict[str, str],
    github: FakeGitHub,
    tmp_path: Path,
    event: str,
) -> None:
    workflow = yaml_block("jobs")
    assert set(workflow["on"]) == {"pull_request", "push"}
    assert workflow["permissions"] == {
        "contents": "read", "actions": "read", "pull-requests": "write"
    }  # fmt: skip
    step = workflow["jobs"]["gate"]["steps"][-1]
    held = {"repository": {"default_branch": "main"}, "pull_request": {"number": 7}}
    if event == "push":
        del held["pull_request"]
    (tmp_path / "event.json").write_text(json.dumps(held))
    runner = Runner(
        repository,
        tmp_path / "temp",
        {"token": TOKEN, "event": held, "event_name": event},
        {**variables_of(github.address, tmp_path / "event.json"), **variables},
        Stand(environment, tmp_path / "artifacts"),
    )
    given = {
        name: filled(value, {"github": runner.github}, {}) for name, value in step["with"].items()
    }
    done = runner.run(**{name.replace("-", "_"): value for name, value in given.items()})

    assert done.code == 0, done.log
    assert len(github.bodies) == (event == "pull_request")
    kept = {path.name for path in runner.stand.artifacts.iterdir()}
    baseline = {"heatproof-baseline"} if event == "push" else set()
    assert kept == {"heatproof-report", *baseline}


def test_the_table_of_inputs_is_that_of_the_action() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) ?\| (.*) \|$", PAGE, re.MULTILINE)
    told = {name: (default.strip().strip("`"), what) for name, default, what in rows}
    inputs = read_yaml(ROOT / "action.yml")["inputs"]
    assert told == {
        name: (str(held.get("default", "")), held["description"]) for name, held in inputs.items()
    }
    for output in read_yaml(ROOT / "action.yml")["outputs"]:
        assert f"`{output}`" in PAGE


def test_the_job_of_gitlab_runs(
    repository: Path, programs: Path, gitlab: FakeGitLab, address: str, script: Script
) -> None:
    ci = yaml_block("heatproof")
    assert (ROOT / ci["include"][0]["file"]).exists()
    project = Project(repository, programs, gitlab, ci)
    main = project.run("heatproof", "main", HEATPROOF_SERVER=address)
    assert main.code == 0, main.log
    script.verdict = Verdict.OUTCOME_FAIL
    done = project.run("heatproof", HEATPROOF_SERVER=address)
    assert done.code == 1, done.log
    assert len(gitlab.bodies) == 1
    assert script.calls["CreateEvaluation"][-1].HasField("recorded_baseline")


def test_the_pipeline_of_jenkins_is_the_file() -> None:
    (block,) = blocks("groovy")
    head, _, rest = JENKINSFILE.read_text().partition("\n")
    assert head.startswith("// ")
    assert block == rest


def scripts_of_jenkins() -> Iterator[str]:
    yield from re.findall(r"sh '''\n(.*?)'''", JENKINSFILE.read_text(), re.DOTALL)


def test_the_stages_of_jenkins_end_as_the_gate_does_and_leave_what_it_reads(
    repository: Path, variables: dict[str, str], script: Script
) -> None:
    """Each `sh` as Jenkins runs it; the Groovy around them is read by nobody."""
    given = {**variables, "HEATPROOF_PACKAGE": "heatproof[server,report]"}
    stages = list(scripts_of_jenkins())
    assert [shell(text, repository, given, "-xe").returncode for text in stages] == [0, 0]
    script.verdict = Verdict.OUTCOME_FAIL
    done = shell(stages[-1], repository, given, "-xe")
    assert done.returncode == 1, done.stderr
    named = re.findall(r"(?:testResults|artifacts): '([^']+)'", JENKINSFILE.read_text())
    assert [bool(list(repository.glob(pattern))) for pattern in named] == [True, True]
    suite = require_junit((repository / named[0]).read_text())
    assert suite.attrib["failures"] == "1"


def test_the_lines_for_a_shell_run(
    repository: Path, variables: dict[str, str], github: FakeGitHub, script: Script
) -> None:
    comment, gate, baseline = blocks("sh")
    done = shell(baseline, repository, variables, "-e")
    assert done.returncode == 0, done.stderr
    tracked = subprocess.check_output(["git", "ls-files"], cwd=repository, text=True)
    assert "heatproof-baseline.json" in tracked
    done = shell(gate, repository, variables, "-e")
    assert done.returncode == 0, done.stderr
    assert "the model may ship" in done.stdout
    assert script.calls["CreateEvaluation"][-1].HasField("recorded_baseline")
    jenkins = {"BUILD_URL": "https://jenkins.example/7", "CHANGE_ID": "7", "GITHUB_TOKEN": TOKEN,
               "GITHUB_REPOSITORY": "owner/net", "GITHUB_API_URL": github.address}  # fmt: skip
    done = shell(comment, repository, {**variables, **jenkins}, "-e")
    assert done.returncode == 0, done.stderr
    assert "[build](<https://jenkins.example/7>)" in github.bodies[0]


def test_the_script_ends_as_the_gate_does(
    repository: Path, variables: dict[str, str], script: Script
) -> None:
    run = "bash examples/ci/gate.sh model.onnx photographs"
    (repository / "heatproof-report").mkdir()
    (repository / "heatproof-report" / "report.md").write_text("of an earlier run")
    for text, code, told in (
        ("bash examples/ci/gate.sh model.onnx", 2, "usage"),
        (f"{run} --nonsense", 2, "no verdict"),
        (f"PATH=/usr/bin:/bin {run}", 2, "not on the path"),
        (f"HEATPROOF_BASELINE=gone.json {run}", 2, "gone.json"),
    ):
        done = shell(text, repository, variables)
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done
    assert "of an earlier run" not in (repository / "heatproof-report" / "report.md").read_text()
    script.verdict = Verdict.OUTCOME_FAIL
    assert shell(run, repository, variables).returncode == 1
