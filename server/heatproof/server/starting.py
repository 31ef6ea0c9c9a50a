"""The command line of the server."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import structlog
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from heatproof.evaluators.errors import HeatproofError
from heatproof.server import embedded
from heatproof.server.library_loading import uncollected
from heatproof.server.settings import Settings, check_environment
from heatproof.server.telemetry import logs

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, or with `--embedded` until standard input ends.

    With `--check` it serves nothing, reads everything that is stored, and exits with 1 if something
    is damaged or missing. Exits with 2 if the settings or the data directory cannot be used.
    """
    options = vars(_parser().parse_args(arguments))
    is_embedded, is_check = options.pop("embedded"), options.pop("check")
    os.umask(0o077)  # what the server writes is for its own user
    try:
        check_environment(os.environ)
        if is_check:
            _check(Settings(**options))
        elif is_embedded:
            with embedded.settings(options) as settings:
                _run(settings, announce=True)
        else:
            _run(Settings(**options), announce=False)
    except ValidationError as error:
        _refuse("\n".join(_sentence(fault) for fault in error.errors()))
    except HeatproofError as error:
        _refuse(error.message)


def _check(settings: Settings) -> NoReturn:
    from heatproof.server.data_check import report  # noqa: PLC0415  # as below
    from heatproof.server.stores import inspected  # noqa: PLC0415  # as below

    logs.configure(settings)
    is_sound = report(inspected(settings), print)
    raise SystemExit(0 if is_sound else 1)


def _run(settings: Settings, *, announce: bool) -> None:
    logs.configure(settings)
    _require_provider(settings)
    asyncio.run(_serve(settings, announce=announce))


def _require_provider(settings: Settings) -> None:
    """Refuses a provider that is not installed before anything is served.

    Raises:
        FailedPreconditionError: names those that are.
    """
    if settings.provider == "cpu":
        return  # always there
    from heatproof.graphs.runtime.backends.providers import Provider, require_installed  # noqa: PLC0415  # loads ONNX Runtime

    require_installed(Provider(settings.provider))


async def _serve(settings: Settings, *, announce: bool) -> None:
    with uncollected():
        from heatproof.server.application import running  # noqa: PLC0415  # which --help need not wait for

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as server:
        if announce:
            embedded.announce(server.address)
            embedded.watch_stdin(loop, stopping)
        await stopping.wait()


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence, not with the list of all options."""

    def error(self, message: str) -> NoReturn:
        _refuse(f"{message}; `--help` lists the options")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("python -m heatproof.server", description=main.__doc__)
    parser.add_argument(
        "--embedded",
        action="store_true",
        help="print the address as one line of JSON and end when standard input ends; by default "
        "on a private socket with a temporary data directory",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="check every stored file and row, print a report, and exit with 0 or, if something is "
        "damaged or missing, 1; serves nothing and changes nothing",
    )
    for name, field in Settings.model_fields.items():
        _add_option(parser, name, field)
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    flag = "--" + name.replace("_", "-")
    shown = "" if field.default_factory or field.default in {None, ""} else f" [{field.default}]"
    is_switch = field.annotation is bool
    kind: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if is_switch else {}
    parser.add_argument(
        flag,
        dest=name,
        default=argparse.SUPPRESS,
        help=f"{field.description or name.replace('_', ' ')}{shown}".replace("%", "%%"),
        **kind,
    )


def _sentence(fault: Any) -> str:  # noqa: ANN401  # pydantic's typed dict
    place = ".".join(map(str, fault["loc"]))
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _refuse(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201  # the answer to a command
    raise SystemExit(2)
