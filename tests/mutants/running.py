"""Runs tests on a copy of the tree with a fault planted in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tests.mutants.entries import ROOT, Mutant

SOURCES = ("protos", "client", "server", "evaluators", "graphs")
_FAILED = 1
"""pytest's exit code for tests that failed; others mean that it could not run them."""


class Verdict(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"
    MISSED = "MISSED: the test passes with the fault"
    UNRUN = "UNRUN: the test could not run with the fault"
    BROKEN = "BROKEN: the test fails without the fault"


class Copy:
    """A copy of the tree, whose packages are imported in place of the installed ones."""

    def __init__(self, home: Path) -> None:
        self.home = home
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        named = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
        generated = (path.relative_to(ROOT) for path in (ROOT / "protos").rglob("*_pb2*.py*"))
        for name in (*filter(None, named.decode().split("\0")), *map(str, generated)):
            if (ROOT / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, home / name)

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Holds the fault in the copy for a while."""
        file = self.home / mutant.file
        sound = file.read_text(encoding="utf-8")
        file.write_text(mutant.planted(sound), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(sound, encoding="utf-8")

    def run(self, tests: Iterable[str]) -> int:
        """pytest's exit code of some tests, in the order of their names."""
        options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
        own = {
            "PYTHONPATH": os.pathsep.join(str(self.home / root) for root in SOURCES),
            # A fault of the length of the text that it replaces must not meet its bytecode.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        command = [sys.executable, "-m", "pytest", *options, *sorted(set(tests))]
        done = subprocess.run(
            command, cwd=self.home, env={**os.environ, **own}, capture_output=True, check=False
        )
        return done.returncode


def judged(copy: Copy, mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, Verdict]]:
    """What becomes of each fault."""
    asked = tuple(mutants)
    all_pass = copy.run(one.caught_by for one in asked) == 0
    for mutant in asked:
        if not all_pass and copy.run([mutant.caught_by]) != 0:
            yield mutant, Verdict.BROKEN
            continue
        with copy.planted(mutant):
            code = copy.run([mutant.caught_by])
        yield mutant, _verdict(code)


def _verdict(code: int) -> Verdict:
    if code == 0:
        return Verdict.MISSED
    return Verdict.CAUGHT if code == _FAILED else Verdict.UNRUN
