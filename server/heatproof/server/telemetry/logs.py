"""Log lines go to standard error, since standard output carries an embedded server's address."""

import logging
import sys

import structlog
from structlog.typing import Processor

from heatproof.server.settings import Settings


def configure(settings: Settings) -> None:
    """Sets up structlog, and the standard library's logging beside it."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # Alembic tells of its own insides at every start.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=_processors(as_json=settings.log_format == "json"),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _processors(*, as_json: bool) -> list[Processor]:
    stamped: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        return [*stamped, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    plain = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*stamped, plain]
