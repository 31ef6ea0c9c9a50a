"""Measures one section: `python -m benchmarks.measuring KEY FILE [--quick]`."""

import argparse
from pathlib import Path

from benchmarks.page import block
from benchmarks.sections import SOURCES, source


def main() -> None:
    """Prints the section, and writes its block of the page to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("key", choices=[one.key for one in SOURCES])
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    measured = block(source(options.key).measurement()(quick=options.quick))
    print(measured, flush=True)
    options.file.write_text(measured, encoding="utf-8")


if __name__ == "__main__":
    main()
