"""Finds out which layers of the sandbox this system offers, in a process that ends at once.

Run as `python -P -m heatproof.server.workers.local.sandbox.probing CONFINEMENT`.
"""

import json
import subprocess
import sys
from typing import Final

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.workers.local.sandbox.confinement import (
    Confinement,
    Layer,
    Mode,
    Protection,
    enter,
)

_SECONDS: Final = 60.0


def probe(confinement: Confinement) -> Protection:
    """Which layers workers will have. Blocking.

    Raises:
        FailedPreconditionError: the sandbox is required, and a layer is missing.
    """
    if confinement.mode is Mode.OFF:
        return enter(confinement)
    protection = _probed(confinement)
    if confinement.mode is Mode.REQUIRE and protection.missing:
        faults = "; ".join(f"{layer}: {why}" for layer, why in protection.missing.items())
        raise FailedPreconditionError(
            f"the sandbox of the workers is required, but incomplete: {faults}; provide it, or say "
            "`--sandbox auto` to run without these layers"
        )
    return protection


def _probed(confinement: Confinement) -> Protection:
    command = [sys.executable, "-P", "-m", __name__, confinement.text()]
    try:
        found = subprocess.run(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True
        )
        missing = json.loads(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Protection(missing=dict.fromkeys(Layer, f"a process in it fails: {error}"))
    return Protection(
        tuple(layer for layer in Layer if layer not in missing),
        {Layer(layer): why for layer, why in missing.items()},
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(enter(Confinement.parse(sys.argv[1])).missing))
