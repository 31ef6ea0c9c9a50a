"""Runs a job of GitLab CI as its runner does.

What is real: what a job extends, variables that name others, `script` as one run of `bash` with the
runner's own flags, `after_script` as another whose end is ignored, and artifacts, which only those
of a successful job become what a branch keeps. What is not: the container. `python3 -m venv` makes
an environment whose programs are those of the tests and whose pip installs nothing.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.client.forges.fake_forges import TOKEN, FakeGitLab
from tests.system.pipelines.actions import ROOT, read_yaml


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        code: exit code of its script.
        log: what it printed.
        files: paths of its artifacts.
        junit: path of the report that GitLab shows; None where there is none.
    """

    code: int
    log: str
    files: list[Path]
    junit: Path | None


@dataclass
class Project:
    """A project with a runner.

    Attributes:
        folder: where it is checked out.
        programs: folder for PATH.
        gitlab: the API, which also keeps artifacts.
        ci: its `.gitlab-ci.yml`, without what it includes.
    """

    folder: Path
    programs: Path
    gitlab: FakeGitLab
    ci: Mapping[str, Any]

    def run(self, job: str, branch: str = "", **variables: str) -> Ended:
        """Runs a job for a branch, else for the merge request 7."""
        held = self._merged(job)
        environment = self._environment(job, held["variables"], branch, variables)
        code, log = self._script(held["script"], environment)
        log += self._script(held["after_script"], environment)[1]
        kept = held["artifacts"]
        assert kept["when"] == "always"
        roots = [self.folder / expanded(path, environment) for path in kept["paths"]]
        files = [path for root in roots if root.exists() for path in root.rglob("*")]
        if branch and not code:
            for path in files:
                key = branch, job, path.relative_to(self.folder).as_posix()
                if path.suffix == ".json":
                    self.gitlab.kept[key] = path.read_text()
        junit = self.folder / expanded(kept["reports"]["junit"], environment)
        return Ended(code, log, files, junit if junit.exists() else None)

    def _merged(self, job: str) -> dict[str, Any]:
        """The job over what it extends; tables are merged, everything else is replaced."""
        held = self.ci[job]
        base = read_yaml(ROOT / "examples" / "ci" / "gitlab.yml")[held["extends"]]
        variables = {**base["variables"], **held.get("variables", {})}
        return {**base, **held, "variables": variables}

    def _environment(
        self, job: str, given: Mapping[str, str], branch: str, more: Mapping[str, str]
    ) -> dict[str, str]:
        change = {"CI_COMMIT_BRANCH": branch} if branch else {"CI_MERGE_REQUEST_IID": "7"}
        known = {
            "CI": "true",
            "CI_API_V4_URL": f"{self.gitlab.address}/api/v4",
            "CI_COMMIT_SHA": "c0ffee" * 6 + "1234",
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_NAME": job,
            "CI_JOB_TOKEN": TOKEN,
            "CI_JOB_URL": "https://gitlab.example/jobs/31",
            "CI_PROJECT_DIR": str(self.folder),
            "CI_PROJECT_ID": "42",
            "GITLAB_CI": "true",
            "GITLAB_TOKEN": TOKEN,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            **change,
        }
        return {**known, **{name: expanded(text, known) for name, text in given.items()}, **more}

    def _script(self, lines: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
        script = "\n".join(["set -eo pipefail", "set +o noclobber", *lines])
        done = subprocess.run(
            ["bash"],
            input=script,
            cwd=self.folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=250,
            check=False,
        )
        return done.returncode, done.stdout


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with its `$NAME` filled in; a name that is not known is a mistake of the file."""
    for name in sorted(variables, key=len, reverse=True):
        text = text.replace(f"${name}", variables[name])
    assert "$" not in text, text
    return text
