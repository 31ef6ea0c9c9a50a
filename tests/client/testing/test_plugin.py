"""The pytest plug-in, in test suites of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.command.conftest import folder as folder
from tests.client.command.conftest import served as served
from tests.system.docs.code_blocks import BLOCKS

pytest_plugins = ["pytester"]

GATE = """
def test_model_may_ship(heatproof_gate):
    report = heatproof_gate({model!r}, "images"{options})
    assert report.passed
"""

INI = "[pytest]\nheatproof_policy = policy.toml\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, folder: Path) -> pytest.Pytester:
    shutil.copytree(folder, pytester.path, dirs_exist_ok=True)
    pytester.makefile(".ini", pytest=INI)
    return pytester


def ran(suite: pytest.Pytester, served: str, *arguments: str) -> pytest.RunResult:
    plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return suite.runpytest_subprocess(*plain, "--heatproof-server", served, *arguments)


def test_a_model_that_may_ship_passes_and_its_reports_are_written(
    suite: pytest.Pytester, served: str
) -> None:
    suite.makepyfile(test_it=GATE.format(model="sound.onnx", options=""))
    result = ran(suite, served, "--heatproof-reports", "reports")
    result.assert_outcomes(passed=1)
    name = "test_it.py-test_model_may_ship"
    report = json.loads((suite.path / "reports" / f"{name}.json").read_text())
    assert report["verdict"]["outcome"] in {"OUTCOME_PASS", "OUTCOME_WARN"}
    assert "insertion" in (suite.path / "reports" / f"{name}.md").read_text()


def test_two_gates_of_a_test_have_reports_of_their_own(suite: pytest.Pytester, served: str) -> None:
    code = GATE.format(model="sound.onnx", options="")
    asked = next(line for line in code.splitlines() if "heatproof_gate(" in line)
    suite.makepyfile(test_it=code.replace(asked, f"{asked}\n{asked}"))
    ran(suite, served, "--heatproof-reports", "reports").assert_outcomes(passed=1)
    names = {path.name for path in (suite.path / "reports").glob("*.json")}
    name = "test_it.py-test_model_may_ship"
    assert names == {f"{name}.json", f"{name}-2.json"}


def test_the_test_of_the_page_runs(suite: pytest.Pytester, served: str) -> None:
    (block,) = [one for one in BLOCKS if "(heatproof_gate)" in one.code]
    for source, name in (("sound.onnx", "model.onnx"), ("policy.toml", "heatproof.toml")):
        shutil.copy(suite.path / source, suite.path / name)
    rows = [f"{path.name},0" for path in (suite.path / "images").iterdir()]
    (suite.path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    suite.makepyfile(block.code)
    ran(suite, served).assert_outcomes(passed=1)


def test_a_verdict_against_the_model_fails_with_the_checks_that_block(
    suite: pytest.Pytester, served: str
) -> None:
    suite.makepyfile(GATE.format(model="crippled.onnx", options=""))
    result = ran(suite, served)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*heatproof: FAIL of crippled.onnx: *", "*insertion*fail: *0.5*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert not (suite.path / "reports").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (', policy="nowhere.toml"', "cannot read nowhere.toml"),
        (', baselines="b.json"', "did you mean 'baseline'"),
        (', preprocessing="imagenett"', "did you mean 'imagenet'"),
    ],
)
def test_what_keeps_a_verdict_from_being_made_is_an_error_and_no_skip(
    suite: pytest.Pytester, served: str, options: str, told: str
) -> None:
    suite.makepyfile(GATE.format(model="sound.onnx", options=options))
    result = ran(suite, served)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*Error*{told}*"])


def test_a_server_that_cannot_be_reached_is_an_error(suite: pytest.Pytester) -> None:
    suite.makepyfile(GATE.format(model="sound.onnx", options=""))
    result = ran(suite, "nobody-is-here:1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*UnavailableError*"])


def test_without_a_policy_the_way_out_is_told(suite: pytest.Pytester, served: str) -> None:
    (suite.path / "pytest.ini").write_text("[pytest]\n")
    suite.makepyfile(GATE.format(model="sound.onnx", options=""))
    result = ran(suite, served)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*heatproof_policy in the configuration of pytest*"])


RUN = """
import json, sys, pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
open("held.json", "w").write(json.dumps([code, sorted(sys.modules)]))
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    """Modules that a run of pytest in a fresh process has imported."""
    (folder / "test_other.py").write_text("def test_other():\n    pass\n")
    command = [sys.executable, "-c", RUN, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    code, held = json.loads((folder / "held.json").read_text())
    assert code == 0
    return set(held)


def test_who_does_not_use_it_loads_nothing_of_it(tmp_path: Path) -> None:
    with_it, without = imported(tmp_path), imported(tmp_path, "-p", "no:heatproof")
    own = {"heatproof", "heatproof.testing", "heatproof.testing.plugin"}
    assert with_it - without == own
    assert not own & without


def test_pytest_lists_the_fixtures_and_options(pytester: pytest.Pytester) -> None:
    fixtures = pytester.runpytest_subprocess("--fixtures", "-p", "no:randomly")
    fixtures.stdout.fnmatch_lines(["heatproof_gate*"])
    options = pytester.runpytest_subprocess("--help", "-p", "no:randomly")
    options.stdout.fnmatch_lines(["*--heatproof-server=ADDRESS*", "*--heatproof-reports=DIR*"])
