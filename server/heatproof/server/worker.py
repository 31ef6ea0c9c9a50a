"""Starts a worker: `python -P -m heatproof.server.worker DESCRIPTOR CONFINEMENT`."""

import sys
from multiprocessing.connection import Connection

from heatproof.server.library_loading import uncollected
from heatproof.server.workers.local.sandbox.confinement import Confinement, Mode, enter
from heatproof.server.workers.local.sandbox.privileges import volunteer_for_oom


def run(descriptor: int, confinement: Confinement) -> None:
    """Enters the sandbox, then serves."""
    volunteer_for_oom()
    protection = enter(confinement)
    if confinement.mode is Mode.REQUIRE and protection.missing:
        raise SystemExit(f"the sandbox is required, but incomplete: {dict(protection.missing)}")
    # A sandbox holds for one thread and its children, and libraries start threads when they load.
    with uncollected():
        from heatproof.server.api.codec import worker_documents  # noqa: PLC0415
        from heatproof.server.workers.local.process import serve  # noqa: PLC0415

    serve(Connection(descriptor), worker_documents)


if __name__ == "__main__":
    run(int(sys.argv[1]), Confinement.parse(sys.argv[2]))
