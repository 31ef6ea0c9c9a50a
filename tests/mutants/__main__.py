"""Plants each fault of the tables in a copy of the tree: `python -m tests.mutants`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.mutants.entries import mutants
from tests.mutants.running import Copy, Verdict, judged


def main() -> int:
    """Prints a row a fault; 1 unless each is caught by its test."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="faults whose row contains this text")
    text = parser.parse_args().only
    asked = [one for one in mutants() if text in f"{one} {one.file} {one.caught_by}"]
    print("| fault in | of the text | its test | verdict |\n|---|---|---|---|")
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory() as home:
        for mutant, verdict in judged(Copy(Path(home)), asked):
            cell = " ".join(mutant.find.split()).replace("|", "\\|")
            name = mutant.caught_by.rpartition("::")[2]
            print(f"| {mutant.file} | `{cell}` | {name} | {verdict} |", flush=True)
            found.append(verdict)
    caught = found.count(Verdict.CAUGHT)
    print(f"\n{caught} of {len(found)} planted faults are caught")
    return 0 if found and caught == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
