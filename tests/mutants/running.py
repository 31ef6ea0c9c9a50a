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
        self.home, self._now = home, 0
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        named = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
        generated = (path.relative_to(ROOT) for path in (ROOT / "protos").rglob("*_pb2*.py*"))
        for name in (*filter(None, named.decode().split("\0")), *map(str, generated)):
            if (ROOT / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, home / name)

    def _write(self, file: Path, text: str) -> None:
        """Writes a version of a source, later by a second than any before it.

        Bytecode is told from its source by length and whole seconds: a fault of the length of the
        text that it replaces must not meet that of the sound one.
        """
        self._now = 1 + max(self._now, int(file.stat().st_mtime))
        file.write_text(text, encoding="utf-8")
        os.utime(file, (self._now, self._now))

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Holds the fault in the copy for a while."""
        file = self.home / mutant.file
        sound = file.read_text(encoding="utf-8")
        self._write(file, mutant.planted(sound))
        try:
            yield
        finally:
            self._write(file, sound)

    def run(self, tests: Iterable[str]) -> int:
        """pytest's exit code of some tests, in the order of their names."""
        options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
        own = {
            "PYTHONPATH": os.pathsep.join(str(self.home / root) for root in SOURCES),
            # What a test asserts must catch the fault, not the extents of an array.
            "JAXTYPING_DISABLE": "1",
            # Empty is off: what no fault touches is compiled once.
            "PYTHONDONTWRITEBYTECODE": "",
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
