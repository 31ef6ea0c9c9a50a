"""Fuzzes one target with Atheris: `python -m tests.system.fuzz models -max_total_time=60`.

The corpus grows in build/fuzz; what crashes a target is written beside it, and belongs into
tests/system/fuzz/seeds once it is mended.
"""

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["heatproof"]):
    from tests.system.fuzz.targets import TARGETS

WORK = Path("build/fuzz")
FLAGS = ("-timeout=20", "-rss_limit_mb=4096", "-max_len=65536", "-print_final_stats=1")


def main() -> None:
    """Fuzzes until libFuzzer's limits end the process."""
    name, *flags = sys.argv[1:]
    target = TARGETS[name]
    corpus = WORK / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    logging.disable()
    arguments = [sys.argv[0], *FLAGS, f"-artifact_prefix={WORK}/{name}-", *flags, str(corpus)]
    mutator = {"custom_mutator": target.mutate} if target.mutate else {}
    atheris.Setup(arguments, target.run, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
