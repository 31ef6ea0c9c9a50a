"""Every block of code on the pages runs as a reader would paste it, page by page in its order."""

import csv
import io
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from heatproof.client.documents.policies import read_policy, read_preprocessing
from tests.system.docs.code_blocks import BLOCKS, ROOT, CodeBlock
from tests.system.docs.desk import lay_out
from tests.system.docs.pasting import paste_python, paste_shell
from tests.system.serving import Served

FRESH = {"docs/wire-contract.md"}
"""Pages that upload models to a server that has none: one that has them answers early."""

LANGUAGES = {"sh", "python", "toml", "csv", "text"}
OF_CI = {"README.md": {"yaml"}, "docs/ci.md": {"yaml", "groovy"}, "docs/gate.md": {"yaml"}}
"""Languages of CI systems, whose blocks are held against the action and run in pipelines/, and of
DVC, whose stage tests/client/tracking runs."""
CALIBRATES = "takes more images than the desk has: tests/client/command/test_init.py"
SERVES = "speaks of servers that a test must start: test_serving_blocks.py"
PLUGINS = "tests/plugins/test_pages.py runs it, in an environment of its own"

NOT_RUN = {
    ("README.md", "make demo"): "test_demo.py; and `make test` is what runs this",
    ("README.md", "pip install"): "packaging/test_wheel.py installs the wheel",
    ("README.md", "heatproof serve"): SERVES,
    ("README.md", "heatproof init"): CALIBRATES,
    ("docs/gate.md", "heatproof init"): CALIBRATES,
    ("docs/operations.md", "pip install"): SERVES,
    ("docs/operations.md", "python -m heatproof.server"): SERVES,
    ("docs/wire-contract.md", "heatproof serve"): SERVES,
    ("docs/wire-contract.md", "make contract"): "packaging/test_contract_archive.py",
    ("docs/command.md", "heatproof inspect model.onnx --server host"): SERVES,
    ("docs/agreement.md", "make peers"): "half an hour, in an environment of its own",
    ("docs/coverage.md", "make zoo"): "hours, in an environment of its own",
    ("docs/comparing-models.md", "python -m examples"): "trains networks for minutes",
    ("docs/explanation-consistency.md", "python -m examples"): "trains networks for hours",
    ("docs/metric-orderings.md", "python examples"): "hours",
    ("docs/other-libraries.md", "from captum"): PLUGINS,
    ("docs/other-libraries.md", "from heatproof"): PLUGINS,
    ("docs/other-libraries.md", "import mlflow"): PLUGINS,
    ("examples/README.md", "python -m venv"): "asks registries",
    ("examples/README.md", "pip download"): "asks registries",
    ("examples/comparing_models/README.md", "python -m examples.comparing_models.compare"):
        "trains networks for minutes",
}  # fmt: skip
"""Blocks that no test of this module runs, by page and beginning, with the reason."""

WHAT_THE_READER_HAS = {
    "docs/python.md": """
import numpy as np
import torch

pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
loader = torch.utils.data.DataLoader(list(zip(pictures, [0, 1, 2, 0])), batch_size=2)
attributions = list(np.random.default_rng(2).normal(size=(4, 32, 32)))
cams = list(np.random.default_rng(3).normal(size=(4, 8, 8)))
module = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
    torch.nn.Flatten(), torch.nn.Linear(4, 5),
)
""",
}
"""Names that a page takes from its reader's own program."""


def left_out(block: CodeBlock) -> list[tuple[str, str]]:
    """The entries of `NOT_RUN` that speak of a block."""
    return [
        (page, beginning)
        for page, beginning in NOT_RUN
        if block.page == page and block.first_line.startswith(beginning)
    ]


def run_here(language: str) -> dict[str, list[CodeBlock]]:
    """The blocks of a language by their page."""
    pages: dict[str, list[CodeBlock]] = {}
    for block in BLOCKS:
        if block.language == language and not left_out(block):
            pages.setdefault(block.page, []).append(block)
    return pages


SHELL_PAGES, PYTHON_PAGES = run_here("sh"), run_here("python")
del PYTHON_PAGES["docs/extending.md"]  # test_extending.py holds what it makes against an oracle
del SHELL_PAGES["examples/plugin/README.md"]  # test_plugin_package.py installs the plug-in
del PYTHON_PAGES["examples/plugin/README.md"]
del SHELL_PAGES["docs/ci.md"]  # pipelines/test_ci_page.py runs it as a CI does, YAML and Groovy too


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_the_shell_commands_of_a_page_run(
    page: str,
    desk: Path,
    served: Served,
    served_with: Callable[[], AbstractContextManager[Served]],
) -> None:
    if page in FRESH:
        with served_with() as fresh:
            paste_shell(SHELL_PAGES[page], desk, fresh.address)
    else:
        paste_shell(SHELL_PAGES[page], desk, served.address)


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_programs_of_a_page_run(page: str, desk: Path, served: Served) -> None:
    own = CodeBlock(page, 0, "python", WHAT_THE_READER_HAS.get(page, ""))
    paste_python([own, *PYTHON_PAGES[page]], desk, served.address)


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.language == "toml"],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_tables_are_policies_or_preprocessing(block: CodeBlock, tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(block.code)
    keys = tomllib.loads(block.code).keys()
    if "resize" in keys:
        assert read_preprocessing(str(path)).resize
    else:
        if "checks" not in keys:
            path.write_text(block.code + '\n[[checks]]\nmetric = "deletion"\n')
        assert read_policy(path).checks


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.language == "csv"],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_files_of_labels_have_columns_that_are_read(block: CodeBlock) -> None:
    rows = list(csv.DictReader(io.StringIO(block.code)))
    assert rows
    assert {"file", "labels"} == rows[0].keys()


def test_every_block_has_a_language_that_a_test_knows() -> None:
    assert [
        block for block in BLOCKS if block.language not in LANGUAGES | OF_CI.get(block.page, set())
    ] == []


def test_the_step_on_the_front_page_has_inputs_that_the_action_takes() -> None:
    (block,) = (one for one in BLOCKS if one.page == "README.md" and one.language == "yaml")
    (step,) = YAML(typ="safe").load(block.code)
    with (ROOT / "action.yml").open() as action:
        inputs = YAML(typ="safe").load(action)["inputs"]
    assert step["with"].keys() <= inputs.keys()
    assert {name for name, one in inputs.items() if one.get("required")} <= step["with"].keys()


def test_what_is_not_run_is_still_there() -> None:
    there = {entry for block in BLOCKS for entry in left_out(block)}
    assert NOT_RUN.keys() - there == set()
