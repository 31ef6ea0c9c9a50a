"""Measures all sections of docs/performance.md, or some of them: `python -m benchmarks`."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.page import PAGE, blocks, failed, page
from benchmarks.sections import SOURCES, Source

ROOT = PAGE.parents[1]


def main() -> int:
    """Measures section by section and writes the page after each; 1 if one has failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [one.key for one in SOURCES]
    parser.add_argument("--only", action="append", choices=keys, help="this section; repeatable")
    parser.add_argument(
        "--quick", action="store_true", help="smallest sizes; the page is left alone"
    )
    parser.add_argument(
        "--peers", default=sys.executable, help="interpreter that has the other libraries"
    )
    options = parser.parse_args()
    faults = []
    for one in SOURCES:
        if options.only and one.key not in options.only:
            continue
        begun = time.monotonic()
        found = measured(one, options.peers, quick=options.quick)
        print(f"\n{one.key}: {time.monotonic() - begun:.0f} s\n", flush=True)
        if isinstance(found, Failure):
            faults.append(f"{one.key}: {found.reason}")
        if not options.quick:
            write(PAGE, one, found)
    print("\n".join(faults))
    return 1 if faults else 0


class Failure:
    """A section that could not be measured.

    Args:
        reason: a sentence that says why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


def measured(one: Source, peers: str, *, quick: bool) -> str | Failure:
    """The block of a section, measured in a process of its own."""
    python = peers if one.needs_peers else sys.executable
    with tempfile.TemporaryDirectory(prefix="heatproof-bench-") as folder:
        file = Path(folder) / "block.md"
        command = [python, "-m", "benchmarks.measuring", one.key, str(file)]
        command += ["--quick"] if quick else []
        try:
            done = subprocess.run(command, cwd=ROOT, timeout=one.seconds, check=False)
        except subprocess.TimeoutExpired:
            return Failure(f"it took longer than {one.seconds} s.")
        if done.returncode or not file.exists():
            return Failure(f"it ended with the code {done.returncode}; its output says why.")
        return file.read_text(encoding="utf-8")


def write(path: Path, one: Source, found: str | Failure) -> None:
    """Puts a section into the page, which keeps the others."""
    known = blocks(path.read_text(encoding="utf-8")) if path.exists() else {}
    if isinstance(found, Failure):
        found = failed(known.get(one.key, ""), one.key.capitalize(), found.reason)
    order = [source.key for source in SOURCES]
    path.write_text(page(order, {**known, one.key: found}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
