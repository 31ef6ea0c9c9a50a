"""Checks the zoo of architectures and writes docs/coverage.md: `python -m tests.graphs.zoo`."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.graphs.zoo.families import FAMILIES
from tests.graphs.zoo.journal import JOURNAL, Journal
from tests.graphs.zoo.planning import Task, planned
from tests.graphs.zoo.running import context, records
from tests.graphs.zoo.table import write_page


def main() -> int:
    """Runs what the journal lacks; 1 unless everything that ran is well."""
    options = _options()
    journal = Journal(options.journal)
    done = {key for key, record in journal.read().items() if record.is_well or not options.again}
    families = [one for one in FAMILIES if options.family.casefold() in one.title.casefold()]
    tasks = planned(families, done, quick=options.quick)
    print(f"{sum(len(task.exports) for task in tasks)} files of {len(tasks)} models to check")
    processes = context()

    def run(task: Task) -> bool:
        well = True
        for record in records(task, processes):
            journal.add(record)
            print(record, flush=True)
            well &= record.is_well
        return well

    with ThreadPoolExecutor(options.jobs) as pool:
        well = list(pool.map(run, tasks))
    if not options.quick:
        write_page(journal.read())
    return 0 if all(well) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.graphs.zoo", description=__doc__)
    parser.add_argument("--family", default="", help="only families whose title contains this")
    parser.add_argument("--quick", action="store_true", help="one file of one model a family")
    parser.add_argument("--again", action="store_true", help="repeat what was not well")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    parser.add_argument("--journal", type=Path, default=JOURNAL, help="results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
