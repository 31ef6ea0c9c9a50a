"""Runs a composite action as the runner of GitHub Actions does.

What is real: the order and conditions of steps, expressions, `bash` with the runner's own flags,
the files of GITHUB_OUTPUT and GITHUB_STEP_SUMMARY, defaults of inputs, and outputs. What is not are
the actions that it uses: `Stand` stands in for them, and takes no input that they do not know. Its
cache has an environment whose programs are those of the tests, so that nothing is installed.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.system.pipelines.expressions import evaluated, filled, is_true

ROOT: Final = Path(__file__).parents[3]

KNOWN: Final = {
    "actions/setup-python": {"python-version"},
    "actions/cache": {"path", "key"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found", "overwrite"},
}
"""Inputs of the actions that stand-ins are for, out of those that they have."""

Inputs = Mapping[str, str]


@dataclass
class Stand:
    """Stands in for the actions of GitHub.

    Attributes:
        environment: folder that the cache restores; None where it has none.
        artifacts: where uploads go, by name.
        keys: keys that the cache was asked for.
        pythons: versions that were asked for.
    """

    environment: Path | None
    artifacts: Path
    keys: list[str] = field(default_factory=list)
    pythons: list[str] = field(default_factory=list)

    def use(self, action: str, given: Inputs, workspace: Path) -> dict[str, str]:
        """Does what an action would, and returns its outputs."""
        name, _, version = action.partition("@")
        assert version.startswith("v")
        assert set(given) <= KNOWN[name], given
        held: dict[str, Callable[[Inputs, Path], dict[str, str]]] = {
            "actions/setup-python": self._set_up,
            "actions/cache": self._restore,
            "actions/upload-artifact": self._upload,
        }
        return held[name](given, workspace)

    def _set_up(self, given: Inputs, _workspace: Path) -> dict[str, str]:
        self.pythons.append(given["python-version"])
        return {"python-version": given["python-version"]}

    def _restore(self, given: Inputs, _workspace: Path) -> dict[str, str]:
        self.keys.append(given["key"])
        if self.environment is not None:
            shutil.copytree(self.environment, given["path"], symlinks=True, dirs_exist_ok=True)
        return {"cache-hit": str(self.environment is not None).lower()}

    def _upload(self, given: Inputs, workspace: Path) -> dict[str, str]:
        source, target = workspace / given["path"], self.artifacts / given["name"]
        if not source.exists():
            assert given.get("if-no-files-found", "warn") != "error", source
            return {}
        target.mkdir(parents=True, exist_ok=given.get("overwrite") == "true")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
        return {"artifact-url": f"https://github.example/artifacts/{given['name']}"}


@dataclass
class Done:
    """How a run of an action ended.

    Attributes:
        failed: names of the steps that failed, in their order.
        ran: names of the steps that ran.
        code: exit code of the last step that failed, else 0.
        log: what the steps printed.
        outputs: those of the action.
        summary: what they wrote for the page of the run.
    """

    failed: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    code: int = 0
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass
class Runner:
    """A runner with a workspace.

    Attributes:
        workspace: where the caller's repository is checked out.
        temp: the folder of the job, empty at its start.
        github: the context `github`.
        variables: what the runner sets for every step.
        stand: stands in for other actions.
        action: folder of the action.
    """

    workspace: Path
    temp: Path
    github: dict[str, Any]
    variables: dict[str, str]
    stand: Stand
    action: Path = ROOT

    def run(self, *, until: str = "", **given: str) -> Done:
        """Runs the action, or its steps up to one; an input's hyphens are underscores here."""
        document = read_yaml(self.action / "action.yml")
        asked = {name.replace("_", "-"): value for name, value in given.items()}
        assert set(asked) <= set(document["inputs"]), asked
        self.temp.mkdir(parents=True)
        done, steps = Done(), dict[str, Any]()
        contexts = {
            "github": self.github,
            "inputs": {},
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.temp)},
            "steps": steps,
        }
        contexts["inputs"] = {
            name: asked.get(name, filled(str(held.get("default", "")), contexts, {}))
            for name, held in document["inputs"].items()
        }
        for step in document["runs"]["steps"]:
            self._step(step, contexts, done)
            if step["name"] == until:
                break
        done.outputs = {
            name: filled(held["value"], contexts, {}) for name, held in document["outputs"].items()
        }
        shutil.rmtree(self.temp)
        return done

    def _step(self, step: Mapping[str, Any], contexts: dict[str, Any], done: Done) -> None:
        status = {"always": True, "success": not done.failed, "failure": bool(done.failed),
                  "cancelled": False}  # fmt: skip
        if not _is_run(step, contexts, status):
            return
        done.ran.append(step["name"])
        inputs = {
            name: filled(_text(value), contexts, status)
            for name, value in step.get("with" if "uses" in step else "env", {}).items()
        }
        if "uses" in step:
            outputs, code = self.stand.use(step["uses"], inputs, self.workspace), 0
        else:
            outputs, code = self._script(step, inputs, done)
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs}
        if code:
            done.failed.append(step["name"])
            done.code = code

    def _script(
        self, step: Mapping[str, Any], variables: Inputs, done: Done
    ) -> tuple[dict[str, str], int]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input in a script would be run as code"
        files = {name: self.temp / f"{name}-{len(done.ran)}" for name in ("output", "summary")}
        for path in files.values():
            path.touch()
        script = self.temp / f"{len(done.ran)}.sh"
        script.write_text(step["run"])
        environment = {
            **self.variables,
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **variables,
        }
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=250,
            check=False,
        )
        done.log += ended.stdout
        done.summary += files["summary"].read_text()
        return dict(_outputs(files["output"].read_text())), ended.returncode


def _is_run(step: Mapping[str, Any], contexts: dict[str, Any], status: dict[str, bool]) -> bool:
    """Whether the condition of a step holds; without a word on status it asks for success too."""
    condition = str(step.get("if", "success()")).strip()
    condition = condition.removeprefix("${{").removesuffix("}}").strip()
    asks = any(f"{name}()" in condition for name in status)
    return is_true(evaluated(condition, contexts, status)) and (asks or status["success"])


def _outputs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, is_pair, value = line.partition("=")
        assert is_pair, line
        yield name, value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_yaml(path: Path) -> Any:
    """A YAML file, by version 1.2, as GitHub and GitLab read them."""
    return YAML(typ="safe", pure=True).load(path)


def variables_of(forge: str, event: Path) -> dict[str, str]:
    """What GitHub's runner sets for a run of `owner/net`; no token, which steps get by name."""
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": forge,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "owner/net",
        "GITHUB_RUN_ID": "31",
        "GITHUB_SHA": "0" * 40,
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
    }
