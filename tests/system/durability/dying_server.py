"""A real server that is killed at a call of the test's choice.

`python -m tests.system.durability.dying_server AT OPTION...`

Calls count from the moment it answers.
"""

import sys

import pytest

from heatproof.server import embedded
from heatproof.server.starting import main
from tests.server.faults import Faults, install


def _arm(faults: Faults, at: int) -> None:
    announce = embedded.announce

    def armed(address: str) -> None:
        faults.at = at
        announce(address)

    embedded.announce = armed


if __name__ == "__main__":
    faults = Faults(deadly=True)
    install(faults, pytest.MonkeyPatch())
    _arm(faults, int(sys.argv[1]))
    main(sys.argv[2:])
