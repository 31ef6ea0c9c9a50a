"""Whole reports as files: JSON, and Parquet for whoever reads the scores of many images."""

import json
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from heatproof.client.documents import recordings
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.errors import UsageError
from heatproof.client.extras import required
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import Policy, Verdict
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import ImageResult

KEY: Final = b"heatproof"
"""Key of a Parquet file's metadata that holds the report itself."""


def save(report: Report, path: Path) -> None:
    """Writes a report with everything that it holds, overlays included.

    Args:
        report: of an evaluation or a gate.
        path: a `.json` file; or a `.parquet` file, whose table is `images_to_pandas` and whose
            metadata hold the rest.

    Raises:
        UsageError: another suffix, or the file cannot be written.
        MissingExtraError: pyarrow is not installed.
    """
    document = json.dumps(_whole(report), indent=1) + "\n"
    try:
        match path.suffix.lower():
            case ".json":
                path.write_text(document, encoding="utf-8")
            case ".parquet":
                _write_parquet(report, document, path)
            case suffix:
                raise UsageError(
                    f"cannot save as {suffix or path.name!r}: name a .json or .parquet"
                )
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def load(path: Path) -> Report:
    """Reads a report that `save` or `--json` has written.

    Raises:
        UsageError: the file cannot be read or is no report.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        parquet = path.suffix.lower() == ".parquet"
        text = _parquet_document(path) if parquet else path.read_text(encoding="utf-8")
        return _read(json.loads(text))
    except OSError as error:
        raise UsageError(f"cannot read report {path}: {error.strerror or error}") from error
    except (json_format.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no report that was saved or written by --json: {error}") from (
            error
        )


def _whole(report: Report) -> dict[str, Any]:
    """The document of `--json`, with models and images in full."""
    return {
        **recordings.document(report),
        "models": [recordings.plain(model) for model in report.models],
        "image_results": [recordings.plain(image) for image in report.images],
    }


def _read(held: dict[str, Any]) -> Report:
    parse = json_format.ParseDict
    whole = (
        parse(held["evaluation"], Evaluation()),
        tuple(parse(image, ImageResult()) for image in held["image_results"]),
        tuple(parse(model, Model()) for model in held["models"]),
        parse(held["dataset"], Dataset()),
    )
    if "verdict" not in held:
        return Report(*whole)
    policy, verdict = parse(held["policy"], Policy()), parse(held["verdict"], Verdict())
    return GateReport(*whole, model=str(held["model"]), policy=policy, verdict=verdict)


def _write_parquet(report: Report, document: str, path: Path) -> None:
    arrow = required("pyarrow", extra="parquet")
    parquet = required("pyarrow.parquet", extra="parquet")
    table = arrow.Table.from_pandas(report.images_to_pandas(), preserve_index=False)
    metadata = {**(table.schema.metadata or {}), KEY: document.encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), path)


def _parquet_document(path: Path) -> str:
    required("pyarrow", extra="parquet")
    parquet = required("pyarrow.parquet", extra="parquet")
    held: dict[bytes, bytes] = parquet.read_schema(path).metadata or {}
    return held[KEY].decode()
