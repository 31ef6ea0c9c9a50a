"""What an operator can set: environment variables `HEATPROOF_*`, or options of the command."""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from heatproof.evaluators.errors import UnknownNameError
from heatproof.server.workers.limits import Limits, TaskLimits
from heatproof.server.workers.local.sandbox.confinement import Mode

KIBIBYTE: Final = 1 << 10
MEBIBYTE: Final = 1 << 20
GIBIBYTE: Final = 1 << 30

LONGEST_SOCKET_PATH: Final = 107
"""Bytes that Linux takes for the path of a Unix socket."""

MAX_CHUNK_BYTES: Final = MEBIBYTE
"""Most bytes of a file in one message."""

_USUAL: Final = Limits()
_LAST_PORT: Final = 65535
_PREFIX: Final = "HEATPROOF_"
_OF_CLIENTS: Final = frozenset({"HEATPROOF_SERVER"})


def _default_data_dir() -> Path:
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not home.is_absolute():  # unset, or of no use by the standard of these variables
        home = Path.home() / ".local" / "share"
    return home / "heatproof"


def _named(value: object) -> object:
    if value == "":  # which a Path would take for the current folder
        raise ValueError("must name a folder; leave it out for the usual one")
    return value


Folder = Annotated[Path, BeforeValidator(_named), AfterValidator(Path.absolute)]

# Wider ones overflow gRPC's own numbers of 32 bits, or say nothing.
PositiveCount = Annotated[int, Field(gt=0, le=1_000_000)]
Processes = Annotated[int, Field(gt=0, le=1024)]
Bytes = Annotated[int, Field(gt=0, le=1 << 60)]
Seconds = Annotated[float, Field(gt=0, le=2_000_000, allow_inf_nan=False)]


_ON_GPUS: Final = frozenset({"cuda", "tensorrt"})


class Settings(BaseSettings):
    """Settings of a server.

    Each is read from the environment variable of its name in capitals after `HEATPROOF_`.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    address: str = Field(
        "127.0.0.1:50051", description="`host:port`, or `unix:path`; port 0 takes a free one"
    )
    insecure: bool = Field(
        default=False, description="serve without TLS on an address that others can reach"
    )
    tls_certificate: Path | None = Field(None, description="PEM file of the server's certificates")
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of the authorities that clients' certificates must come from"
    )
    data_dir: Folder = Field(
        default_factory=_default_data_dir, description="folder of everything that is stored"
    )
    database_url: str = Field(
        "", description="SQLAlchemy URL of another database than the file in the data directory"
    )

    answers_bytes: int = Field(
        8 * GIBIBYTE,
        ge=0,
        le=1 << 60,
        description="bytes of the answers of models that are kept, so that no pass is run twice; "
        "0: none",
    )
    answers_dir: Folder | None = Field(
        None, description="folder of these answers; by default `answers` in the data directory"
    )

    adopt: bool = Field(
        default=False,
        description="use a database that does not know the files of the data directory: they are "
        "moved to the folder `unknown` there",
    )

    workers: Processes = Field(1, description="worker processes for evaluations")
    interactive_workers: Processes = Field(
        3, description="most worker processes for whoever waits for an answer"
    )
    inspection_workers: Processes = Field(
        2, description="most worker processes for models that are uploaded"
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="threads of each worker; 0: the granted cores shared among the workers",
    )
    batch_rows: Literal["fastest", "2", "4", "8"] = Field(
        "fastest",
        description="rows that one run of a network takes; `fastest`: found by timing its runs",
    )
    provider: Literal["cpu", "cuda", "tensorrt", "openvino"] = Field(
        "cpu",
        description="what runs networks, in float32: ONNX Runtime on a processor or a GPU, or "
        "OpenVINO; it must be installed",
    )
    views: Literal["auto", "graph", "pixels"] = Field(
        "auto",
        description="whether a network's graph draws the views of an image, from the image and "
        "masks, or is given their pixels; `auto`: as suits the provider",
    )
    preload: bool = Field(
        default=True, description="start workers with the server, not with their first task"
    )
    share_workers: bool = Field(
        default=False,
        description="idle workers for evaluations take other tasks too, until these need workers "
        "of their own; for a server of one user, which starts faster and takes less memory",
    )
    worker_memory_bytes: int = Field(
        0,
        ge=0,
        le=1 << 60,
        description="memory of all workers together, beyond which the largest is stopped; 0: most "
        "of what is granted",
    )

    sandbox: Mode = Field(
        Mode.AUTO,
        description="what the kernel forbids workers: `auto` all it can, `require` all or no "
        "start, `off` nothing",
    )

    inspect_seconds: Seconds = Field(
        _USUAL.tasks.inspect_seconds,
        description="seconds that inspecting an uploaded model may take",
    )
    rewrite_seconds: Seconds = Field(
        _USUAL.tasks.rewrite_seconds, description="seconds that rewriting a model may take"
    )
    decode_seconds: Seconds = Field(
        _USUAL.tasks.decode_seconds, description="seconds that reading one uploaded image may take"
    )
    prediction_seconds: Seconds = Field(
        _USUAL.tasks.prediction_seconds,
        description="seconds that one prediction may take, on average",
    )
    least_request_seconds: Seconds = Field(
        _USUAL.tasks.least_request_seconds,
        description="seconds that anything that predicts or decodes may take at least",
    )
    most_request_seconds: Seconds = Field(
        _USUAL.tasks.most_request_seconds,
        description="seconds that anything that somebody waits for may take at most",
    )
    summary_seconds: Seconds = Field(
        _USUAL.tasks.summary_seconds,
        description="seconds that summing up, comparing or judging an evaluation may take",
    )
    silence_seconds: Seconds = Field(
        _USUAL.tasks.silence_seconds,
        description="seconds without progress after which any task is stopped",
    )
    unresponsive_seconds: Seconds = Field(
        _USUAL.tasks.unresponsive_seconds,
        description="seconds without a sign of life after which a worker is replaced",
    )

    max_model_bytes: Bytes = Field(_USUAL.max_model_bytes, description="bytes of a model's files")
    max_image_bytes: Bytes = Field(_USUAL.max_image_bytes, description="bytes of one image file")
    max_image_pixels: Bytes = Field(_USUAL.max_image_pixels, description="pixels of one image")
    max_dataset_images: PositiveCount = Field(
        _USUAL.max_dataset_images, description="images of one data set"
    )
    max_dataset_bytes: Bytes = Field(_USUAL.max_dataset_bytes, description="bytes of one data set")
    quota_bytes: Bytes = Field(
        100 * GIBIBYTE, description="bytes of all models and data sets together"
    )
    reserve_bytes: int = Field(
        16 * MEBIBYTE,
        ge=0,
        le=GIBIBYTE,
        description="bytes on the disk of the data directory that are kept free for deleting when "
        "it is full",
    )
    storage_patience_seconds: Seconds = Field(
        30.0,
        description="seconds for which an evaluation waits for a full or failing disk before it "
        "fails",
    )
    max_message_bytes: int = Field(
        16 * MEBIBYTE,
        gt=0,
        le=GIBIBYTE,
        description="bytes of one request that holds images or results",
    )
    message_memory_bytes: Bytes = Field(
        64 * MEBIBYTE, description="bytes of all requests being handled; more are put off"
    )

    max_uploads: PositiveCount = Field(8, description="uploads at a time; more are put off")
    max_computations: PositiveCount = Field(
        16, description="requests that wait for a worker at a time; more are put off"
    )
    max_queued_evaluations: PositiveCount = Field(
        1000, description="evaluations that have not ended; more are put off"
    )
    max_streams: PositiveCount = Field(
        256, description="streams of replies without computation at a time; more are put off"
    )
    max_calls: PositiveCount = Field(
        512, description="calls of any kind but health at a time; more are put off"
    )
    idle_seconds: Seconds = Field(
        60.0, description="seconds after which a call ends whose client neither sends nor reads"
    )
    connection_idle_seconds: Seconds = Field(
        900.0, description="seconds after which a connection without calls is closed"
    )
    keepalive_seconds: Seconds = Field(
        60.0, description="seconds without a sign of life after which a client is pinged"
    )
    retention_days: int = Field(
        0, ge=0, le=36_500, description="days after which ended evaluations are deleted; 0: never"
    )
    drain_seconds: Seconds = Field(
        30.0, description="seconds that running requests get when the server is told to stop"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or none")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if not (self.is_local or self.has_tls or self.insecure):
            raise ValueError(
                f"{self.address} can be reached by others: set tls_certificate and tls_key, or "
                "say `--insecure` to serve it without TLS"
            )
        return self

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        if self.provider in _ON_GPUS and self.sandbox is not Mode.OFF:
            raise ValueError(
                f"provider {self.provider} needs a GPU, which workers in their sandbox cannot "
                "reach: set sandbox to off, where models and images are trusted"
            )
        return self

    @property
    def answers_folder(self) -> Path:
        """Folder of the answers that are kept."""
        return self.answers_dir or self.data_dir / "answers"

    @property
    def limits(self) -> Limits:
        """How large things may be, and how long tasks may take."""
        return Limits(tasks=TaskLimits(**self._of(TaskLimits)), **self._of(Limits))

    def _of(self, kind: type) -> dict[str, Any]:
        """The settings that are fields of a dataclass."""
        names = (field.name for field in fields(kind))
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        is_port = port.isascii() and port.isdecimal() and int(port) <= _LAST_PORT
        is_path = address.startswith("unix:") and address != "unix:"
        if not (is_path or (host and is_port and not address.startswith("unix:"))):
            raise ValueError(
                f"{address!r} is no address: write host:port with a port of 0 to {_LAST_PORT}, or "
                "unix:path"
            )
        return address

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls_certificate is not None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.address.startswith("unix:"):
            return True
        host = self.address.rpartition(":")[0].strip("[]")
        return host == "localhost" or _is_loopback(host)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return _PREFIX + name.upper()


def check_environment(environment: Iterable[str]) -> None:
    """Refuses variables that nobody reads: a misspelt limit would silently not hold.

    Raises:
        UnknownNameError: a variable begins with `HEATPROOF_` and is none; offers the nearest.
    """
    known = set(map(variable, Settings.model_fields)) | _OF_CLIENTS
    for name in sorted(environment):
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            raise UnknownNameError.among("environment variable", name, known)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may resolve to any address
        return False
