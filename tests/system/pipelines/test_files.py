"""The files for CI servers, held to published schemas and to a linter of shells."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.pipelines.actions import ROOT, read_yaml

EXAMPLES = ROOT / "examples" / "ci"


@pytest.mark.parametrize(
    ("schema", "file"),
    [("github-actions", ROOT / "action.yml"), ("gitlab-ci", EXAMPLES / "gitlab.yml")],
)
def test_a_file_is_valid_by_the_published_schema(schema: str, file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run(
        [*command, file], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_shell_script_has_a_known_fault(tmp_path: Path) -> None:
    found = list(scripts())
    assert len(found) > 7
    for index, script in enumerate(found):
        (tmp_path / f"{index}.sh").write_text(f"#!/bin/bash\n{script}\n")
    tool = Path(sys.executable).with_name("shellcheck")
    files = sorted(tmp_path.glob("*.sh"))
    done = subprocess.run([tool, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def scripts() -> Iterator[str]:
    """All that a shell is asked to run."""
    steps: list[dict[str, Any]] = read_yaml(ROOT / "action.yml")["runs"]["steps"]
    yield from (step["run"] for step in steps if "run" in step)
    job = read_yaml(EXAMPLES / "gitlab.yml")[".heatproof"]
    yield "\n".join(job["script"])
    yield "\n".join(job["after_script"])
    yield from (path.read_text() for path in EXAMPLES.glob("*.sh"))
