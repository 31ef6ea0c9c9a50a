"""Runs the peers beside Heatproof and writes docs/agreement.md: `python -m tests.peers`."""

import argparse
import importlib
import sys
from pathlib import Path

import torch

from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.removal import REMOVALS
from tests.peers.bench import Bench
from tests.peers.comparing import COMPARISONS, seed_peers
from tests.peers.journal import Journal
from tests.peers.table import unanswered, write_page

REGISTRIES = {"metric": METRICS, "explainer": EXPLAINERS, "removal": REMOVALS}
HERE = Path(__file__).parent


def main() -> int:
    """Runs the comparisons; 1 unless each agrees or differs as stated and none is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name or peer contains this")
    only = parser.parse_args().only
    for path in sorted(HERE.glob("*/*.py")):
        importlib.import_module(f"tests.peers.{path.parent.name}.{path.stem}")
    torch.set_num_threads(1)
    bench, journal = Bench(), Journal()
    known = [one for one in COMPARISONS if one.name in REGISTRIES[one.kind]]
    keys = {(one.kind, one.name, one.peer, one.run.__name__) for one in COMPARISONS}
    found = {key: record for key, record in journal.read().items() if key in keys}
    for one in known:
        if only not in f"{one.kind} {one.name} {one.peer}":
            continue
        seed_peers(0)
        record = one.found(bench)
        found[record.key] = record
        print(record, flush=True)
    journal.write(found)
    write_page(found)
    missing = unanswered(found)
    for kind, name in missing:
        print(f"{kind} {name}: neither compared nor without a peer")
    return 0 if not missing and all(one.verdict.is_well for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
