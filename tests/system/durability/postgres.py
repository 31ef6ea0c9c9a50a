"""A PostgreSQL cluster of the tests' own, thrown away afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER = "postgres"


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    known = shutil.which("initdb")
    return found[0].parent if found else Path(known).parent if known else None


@contextmanager
def cluster(programs: Path) -> Iterator[str]:
    """Runs a cluster on a socket in a private folder; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="heatproof-pg-", dir="/tmp"))
    owner = None
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        owner = _OWNER
        os.chown(folder, pwd.getpwnam(owner).pw_uid, pwd.getpwnam(owner).pw_gid)
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            user=owner,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )

    try:
        run("initdb", "--auth=trust", "--username=tester", "--no-sync", "--encoding=UTF8")
        options = f"-c listen_addresses= -k {folder} -c fsync=off -c timezone=Asia/Tokyo"
        run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={options}")
        try:
            yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder)
