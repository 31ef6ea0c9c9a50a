"""Groups of options that several subcommands share; see `grouped`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias, TypedDict

import typer

from heatproof.client.clients.connections.addresses import Tls
from heatproof.client.clients.flows.datasets import AnnotationOptions
from heatproof.client.clients.synchronous import Client
from heatproof.client.command.options.files import class_names
from heatproof.client.documents.policies import NO_PREPROCESSING
from heatproof.client.documents.statements import StatementOptions, statement_options
from heatproof.client.documents.targets import FORMS, TargetSource
from heatproof.client.errors import (
    AddressError,
    ConnectionLostError,
    EvaluationInterrupted,
    UnavailableError,
    UsageError,
)

SERVER = "Server"
SERVER_VARIABLE: Final = "HEATPROOF_SERVER"
"""The variable that names a server where no option does."""

ANNOTATIONS = "Annotations"

ModelArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="Path of an .onnx file, or a name models/sha256-...")
]
ModelOption: TypeAlias = Annotated[
    str, typer.Option("--model", help="Path of an .onnx file, or a name models/sha256-...")
]
Images: TypeAlias = Annotated[
    str, typer.Option("--images", help="Folder of images, one image, or a name datasets/sha256-...")
]
Preprocessing: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--preprocessing", help="How the model reads images: imagenet, tf, unit, or a TOML file."
    ),
]


TargetOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--target",
        help=f"What is explained: {FORMS}; a CLASS is an index, or a name of --classes. The "
        "predicted class by default.",
    ),
]


class TargetOptions(TypedDict, total=False):
    """What is explained, for the client."""

    target: TargetSource
    class_names: Sequence[str]


def targeted(target: str | None, names: Sequence[str]) -> TargetOptions:
    """What the client is told of the target; names only where the target holds some."""
    if target is None:
        return TargetOptions(class_names=list(names)) if names else TargetOptions()
    return TargetOptions(target=target, class_names=list(names))


Seed: TypeAlias = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]


class AskedOptions(TargetOptions, total=True):
    """What is asked, for the client."""

    preprocessing: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesOptions:
    """Of what images something is asked, and how models read them."""

    images: Images
    preprocessing: Preprocessing = None
    target: TargetOption = None
    seed: Seed = 0

    def asked_by(self, names: Sequence[str]) -> AskedOptions:
        """The same for the client, but for the images.

        Args:
            names: names of the classes, for the target.

        Raises:
            UsageError: nothing is said of the preprocessing.
        """
        return AskedOptions(
            preprocessing=self.stated_preprocessing(),
            seed=self.seed,
            **targeted(self.target, names),
        )

    def stated_preprocessing(self) -> str:
        """How models read images.

        Raises:
            UsageError: nothing is said of it.
        """
        if self.preprocessing is None:
            raise UsageError(NO_PREPROCESSING)
        return self.preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOptions(ImagesOptions):
    """What is asked of one model, whatever is made of its explanations."""

    model: ModelOption
    classes: Annotated[
        Path | None,
        typer.Option(help="File with the names of the classes, one a line, for --target."),
    ] = None

    def asked(self) -> AskedOptions:
        """The same for the client, but for the model and the images.

        Raises:
            UsageError: nothing is said of the preprocessing, or the names cannot be read.
        """
        self.stated_preprocessing()
        return self.asked_by(class_names(self.classes).names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsOptions(ImagesOptions):
    """Which models are asked."""

    model: Annotated[
        list[str],
        typer.Option(help="Path of an .onnx file, or a name models/sha256-...; may be repeated."),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Which server to use."""

    server: Annotated[
        str | None,
        typer.Option(
            envvar=SERVER_VARIABLE,
            metavar="ADDRESS",
            help="host:port, grpcs://host:port or unix:/path. Without it a server is started on "
            "this machine for the time of the command.",
            rich_help_panel=SERVER,
        ),
    ] = None
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of the authorities to trust.", rich_help_panel=SERVER),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file of the client's own certificate.", rich_help_panel=SERVER),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(help="PEM file of the certificate's key.", rich_help_panel=SERVER),
    ] = None
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which the local server keeps models and results; one that vanishes "
            "by default.",
            rich_help_panel=SERVER,
        ),
    ] = None

    @contextmanager
    def connected(self) -> Iterator[Client]:
        """Connects to the server, or starts one.

        Raises:
            ServerNotInstalledError: no server was named and the local one is not installed.
            UsageError: options that exclude each other.
        """
        try:
            with self._client() as client:
                yield client
        except EvaluationInterrupted as error:
            error.add_note(self._after_interrupt(error.evaluation))
            raise
        except ConnectionLostError as error:
            error.__notes__ = [self._after_loss(error.evaluation)]
            raise
        except (UnavailableError, AddressError) as error:
            if self.server == os.environ.get(SERVER_VARIABLE):
                error.add_note(f"the variable {SERVER_VARIABLE} has this address")
            raise

    def _after_interrupt(self, evaluation: str) -> str:
        """What is left of an evaluation that Ctrl-C has cancelled, and where."""
        if self.server is None and self.data_dir is None:
            return (
                "nothing is kept, for the server was this command's own: --data-dir FOLDER keeps "
                "what is finished, --server with --detach lets an evaluation go on"
            )
        return (
            f"{evaluation} is cancelled and the results of its finished images are kept:\n"
            f"heatproof evaluations show {evaluation} {self._again()}"
        )

    def _after_loss(self, evaluation: str) -> str:
        return (
            f"{evaluation} is kept by the server and goes on with it:\n"
            f"heatproof evaluations watch {evaluation} {self._again()}"
        )

    def _again(self) -> str:
        """The options that lead to the same server."""
        if self.server is None:
            return f"--data-dir {self.data_dir}"
        files = {"ca": self.tls_ca, "certificate": self.tls_certificate, "key": self.tls_key}
        tls = [f"--tls-{kind} {path}" for kind, path in files.items() if path is not None]
        return " ".join((f"--server {self.server}", *tls))

    def require_server(self) -> None:
        """Makes sure that a server was named: one that is started has nothing to list.

        Raises:
            UsageError: none was.
        """
        if self.server is None and self.data_dir is None:
            raise UsageError("this speaks of what a server stores: give --server or --data-dir")

    def _client(self) -> Client:
        files = self.tls_ca, self.tls_certificate, self.tls_key
        tls = Tls(*files) if any(files) else None
        if self.server is None:
            if tls is not None:
                raise UsageError("TLS options need --server")
            return Client.embedded(self.data_dir)
        if self.data_dir is not None:
            raise UsageError("--data-dir is for the local server: leave it out with --server")
        return Client.connect(self.server, tls)


_CLASS_OUTPUT_HELP = "Output that holds the class scores; found in the graph by default."
Activation: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--activation",
        help="What the values of that output are: softmax, sigmoid, logits or sigmoid_logits "
        "(logits of each class by itself); found in the graph by default.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedOptions:
    """What is said of the class output."""

    class_output: Annotated[
        str | None,
        typer.Option("--output", "--class-output", metavar="NAME", help=_CLASS_OUTPUT_HELP),
    ] = None
    activation: Activation = None

    def statement(self) -> StatementOptions:
        """The same for the client."""
        return _statement(self.class_output, self.activation)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedBesideOptions:
    """The same where --output names files."""

    class_output: Annotated[
        str | None, typer.Option("--class-output", metavar="NAME", help=_CLASS_OUTPUT_HELP)
    ] = None
    activation: Activation = None

    def statement(self) -> StatementOptions:
        """The same for the client."""
        return _statement(self.class_output, self.activation)


def _statement(output: str | None, activation: str | None) -> StatementOptions:
    given = {"output": output, "activation": activation}
    return statement_options({name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOptions:
    """What is known about the images."""

    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the columns file,label, or file,labels with all classes of an "
            "image as 1;4, and group if images of one patient, scene "
            "or camera are to count as one.",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = None
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of object masks: PNG files by stem, non-zero is object.",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = None
    masks_frame: Annotated[
        str,
        typer.Option(
            help="Frame of the masks: source (the image, upright) or model_input (after resize "
            "and crop).",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = "source"
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the columns file,left,top,right,bottom, in pixels, for regions "
            "that are boxes.",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = None
    boxes_frame: Annotated[
        str, typer.Option(help="Frame of the boxes, likewise.", rich_help_panel=ANNOTATIONS)
    ] = "source"
    maps: Annotated[
        Path | None,
        typer.Option(
            help="Folder of attribution maps for the explainer supplied: NPY files by stem.",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = None
    maps_frame: Annotated[
        str, typer.Option(help="Frame of the maps, likewise.", rich_help_panel=ANNOTATIONS)
    ] = "model_input"
    replacements: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images for the removal operator replacement, such as backgrounds "
            "painted by a generative model: image files by stem.",
            rich_help_panel=ANNOTATIONS,
        ),
    ] = None
    replacements_frame: Annotated[
        str, typer.Option(help="Frame of the replacements, likewise.", rich_help_panel=ANNOTATIONS)
    ] = "source"

    def annotations(self) -> AnnotationOptions:
        """The same for the client."""
        return AnnotationOptions(
            labels=self.labels,
            masks=self.masks,
            boxes=self.boxes,
            maps=self.maps,
            replacements=self.replacements,
            masks_frame=self.masks_frame,
            boxes_frame=self.boxes_frame,
            maps_frame=self.maps_frame,
            replacements_frame=self.replacements_frame,
        )
