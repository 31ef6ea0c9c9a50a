"""What the distribution installs."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True, timeout=280)
    (wheel,) = folder.glob("heatproof-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel_files(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_installs_one_top_level_name(wheel_files: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"heatproof"}


def test_the_namespace_package_has_no_init(wheel_files: list[str]) -> None:
    assert "heatproof/__init__.py" not in wheel_files


def test_the_wheel_holds_all_roots_and_the_generated_contract(wheel_files: list[str]) -> None:
    folders = {name.split("/")[1] for name in wheel_files if name.startswith("heatproof/")}
    assert folders == {"v1", "client", "testing", "server", "evaluators", "graphs"}
    sources = sorted((ROOT / "protos").rglob("*.proto"))
    assert sources
    for source in sources:
        module = source.relative_to(ROOT / "protos").with_suffix("").as_posix()
        assert f"{module}_pb2.py" in wheel_files
        assert f"{module}_pb2.pyi" in wheel_files


def test_every_package_says_that_it_is_typed(wheel_files: list[str]) -> None:
    for package in ("client", "testing", "server", "evaluators", "graphs"):
        assert f"heatproof/{package}/py.typed" in wheel_files


def test_the_wheel_holds_the_templates_of_pages(wheel_files: list[str]) -> None:
    templates = list((ROOT / "client").rglob("*.jinja"))
    assert len(templates) > 1
    for template in templates:
        assert template.relative_to(ROOT / "client").as_posix() in wheel_files


def test_an_index_would_take_the_wheel(wheel: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", wheel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_runs_where_nothing_of_this_tree_is(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=True, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, timeout=200)
    # What the core needs comes from this environment, so that no registry is asked.
    site = next((tmp_path / "bare" / "lib").glob("python*/site-packages"))
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run(
        [tmp_path / "bare" / "bin" / "heatproof", "--version"],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.strip() == f"heatproof {wheel.name.split('-')[1]}", done.stderr
    where = "import heatproof.client; print(heatproof.client.__file__)"
    found = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert Path(found.stdout.strip()).is_relative_to(site)
