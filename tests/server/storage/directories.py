"""Data directories of earlier versions."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

VERSION_0_1 = Path(__file__).with_name("version_0_1")
ENDED, QUEUED = "evaluations/5bb202fd9213a990858c", "evaluations/ff249be73440d2414bef"


def version_0_1(target: Path) -> Path:
    """Makes a data directory as version 0.1 has left it."""
    shutil.copytree(VERSION_0_1 / "blobs", target / "blobs")
    shutil.copy(VERSION_0_1 / "identity", target / "identity")
    with closing(sqlite3.connect(target / "heatproof.sqlite")) as database:
        database.executescript((VERSION_0_1 / "heatproof.sql").read_text())
    return target
