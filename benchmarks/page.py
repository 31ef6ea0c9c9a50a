"""docs/performance.md: a block for each section, each with the date and machine of its own run."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from benchmarks.sections import Section

PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"

HEAD: Final = """# Performance

Written by `make bench`, which measures on an otherwise idle machine and takes about 20 minutes;
`make bench BENCH="--only peers"` measures one section anew and keeps the others. Ratios are of runs
in turns, A B A B, as median (least to greatest). They change with machine, versions and network:
nothing here is a promise, and no test holds a time.
"""

_BLOCK: Final = re.compile(r"<!-- begin (\S+) -->\n(.*?)\n<!-- end \1 -->", re.DOTALL)
_PACKAGES: Final = ("heatproof", "onnxruntime", "numpy")
_GIBIBYTE: Final = 1 << 30


def blocks(text: str) -> dict[str, str]:
    """The blocks of a page by section."""
    return dict(_BLOCK.findall(text))


def page(order: Iterable[str], found: Mapping[str, str]) -> str:
    """The page of these blocks, in this order; what is not in the order is left out."""
    parts = [
        f"<!-- begin {key} -->\n{found[key]}\n<!-- end {key} -->" for key in order if key in found
    ]
    return "\n".join((HEAD, "\n\n".join(parts), ""))


def block(section: Section) -> str:
    """A section as it stands on the page, measured now and here."""
    return f"## {section.title}\n\n{_circumstances(section)}\n\n{section}"


def failed(known: str, title: str, reason: str) -> str:
    """A section whose run has failed: what is known of an earlier one stays, below the failure."""
    heading, _, rest = (known or f"## {title}").partition("\n")
    rest = re.sub(r"\n> The run of .*?\n", "", rest)  # of an earlier failure
    told = f"> The run of {_today()} failed: {reason} What follows, if anything, is older."
    return f"{heading}\n\n{told}\n{rest}".rstrip()


def _circumstances(section: Section) -> str:
    versions = (*(f"{name} {version(name)}" for name in _PACKAGES), *section.versions)
    return f"*{_today()}, {machine()}; Python {platform.python_version()}, {', '.join(versions)}.*"


def machine() -> str:
    """The processor, the cores that this process may use, and the memory."""
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total
    return f"{_processor()}, {cores} cores, {memory / _GIBIBYTE:.0f} GiB"


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1].strip() if found else platform.processor()


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
