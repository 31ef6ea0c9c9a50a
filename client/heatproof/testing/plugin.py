"""The pytest plug-in: options, and fixtures that load Heatproof when a test asks for one.

pytest imports this module in every run of everyone who has Heatproof installed, so that it imports
nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from heatproof.client import Client
    from heatproof.testing.gates import Gate

GROUP = "heatproof"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options; those of the command line are stronger than those of the file."""
    group = parser.getgroup(GROUP, "gates of explanations")
    group.addoption(
        "--heatproof-server",
        metavar="ADDRESS",
        help="server of gates; without it one is started on this machine",
    )
    group.addoption(
        "--heatproof-reports",
        metavar="DIR",
        help="folder for the reports of gates, as TEST.json and TEST.md",
    )
    parser.addini("heatproof_server", "server of gates", default="")
    parser.addini("heatproof_reports", "folder for the reports of gates", default="")
    parser.addini("heatproof_policy", "policy of gates that name none", default="")
    parser.addini("heatproof_preprocessing", "how models of gates read images", default="")


def _stated(config: pytest.Config, name: str) -> str:
    """An option, else its line of the file, else ""."""
    return str(config.getoption(f"--{name.replace('_', '-')}") or config.getini(name))


@pytest.fixture(scope="session")
def heatproof_client(pytestconfig: pytest.Config) -> Iterator[Client]:
    """The client of all gates of a session; its server is started once."""
    from heatproof.client import Client  # noqa: PLC0415  # loaded where a test asks for it

    address = _stated(pytestconfig, "heatproof_server")
    with Client.connect(address) if address else Client.embedded() as client:
        yield client


@pytest.fixture
def heatproof_gate(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest, heatproof_client: Client
) -> Gate:
    """Gates a model: `heatproof_gate(model, images, policy=..., **options)`.

    It takes what `heatproof.client.Client.gate` takes and returns its report. A verdict against the
    model fails the test and lists the checks that block; whatever kept a verdict from being made is
    raised as it is.
    """
    from heatproof.testing.gates import Gate  # noqa: PLC0415  # as above

    reports = _stated(pytestconfig, "heatproof_reports")
    return Gate(
        client=heatproof_client,
        test=request.node.nodeid,
        reports=pytestconfig.rootpath / reports if reports else None,
        policy=_file(pytestconfig, "heatproof_policy"),
        preprocessing=_file(pytestconfig, "heatproof_preprocessing"),
    )


def _file(config: pytest.Config, name: str) -> str | None:
    """A file of the configuration, found from its folder; a name that is none stays."""
    value = str(config.getini(name))
    path = (config.inipath.parent if config.inipath else Path()) / value
    if value and path.is_file():
        return str(path)
    return value or None
