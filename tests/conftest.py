"""What holds for every test."""

import os

import structlog
from hypothesis import settings

from tests.array_checks import install

install("heatproof.evaluators")

settings.register_profile("suite", deadline=None)  # how long an example takes is the load's
settings.load_profile("suite")


def pytest_configure() -> None:
    """Keeps the logs of servers that run in threads out of the streams that pytest exchanges.

    A thread that writes to a standard stream in the moment in which it is exchanged crashes the
    interpreter.
    """
    # Servers of tests answer anew, and none writes to the caches of whoever runs the tests; those
    # that are about answers that are kept say so.
    os.environ.setdefault("HEATPROOF_ANSWERS_BYTES", "0")
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for the whole run
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(nowhere))
