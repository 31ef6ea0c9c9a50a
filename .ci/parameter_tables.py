"""Writes the tables of parameters into the docs, from the registries; `--check` only compares."""

import re
import sys
from pathlib import Path
from typing import Any

from heatproof.evaluators.evaluation.requirements import capabilities_of
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.metrics.metric import MetricFacts
from heatproof.evaluators.regions import REGIONS
from heatproof.evaluators.registry.parameters import ParameterFacts, parameters_of
from heatproof.evaluators.registry.registry import Registered, Registry
from heatproof.evaluators.removal import REMOVALS
from heatproof.evaluators.removal.operator import RemovalFacts

DOCS = Path(__file__).parents[1] / "docs"
PAGES: dict[str, Registry[Any]] = {
    "metrics.md": METRICS,
    "explainers.md": EXPLAINERS,
    "removal-operators.md": REMOVALS,
    "regions.md": REGIONS,
}
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(kind: type[Registered]) -> str:
    """The facts and parameters of one class, in Markdown."""
    facts = kind.facts
    lines = [f"- **Reference**: {facts.reference}"]
    needs = ", ".join(f"`{need}`" for need in (*facts.reads, *capabilities_of(kind)))
    lines += [f"- **Needs**: {needs or 'nothing'}"]
    if isinstance(facts, MetricFacts):
        lines += [f"- **Direction**: {facts.direction.replace('_', ' ')}"]
    if isinstance(facts, RemovalFacts):
        lines += [f"- **Content-free**: {'yes' if facts.content_free else 'no'}"]
    parameters = parameters_of(kind)
    if parameters:
        lines += ["", "| parameter | type | default | range | what it sets |"]
        lines += ["|---|---|---|---|---|", *(row(facts) for facts in parameters)]
    return "\n".join(lines) + "\n"


def row(facts: ParameterFacts) -> str:
    """One parameter."""
    default = f"`{facts.default}`" if facts.default else "empty"
    return f"| `{facts.name}` | {facts.type} | {default} | {facts.range} | {facts.summary} |"


def filled(text: str, registry: Registry[Any]) -> str:
    """The page with its tables as the registry has them."""
    return TABLE.sub(lambda found: found[1] + table(registry[found[2]]) + found[3], text)


def described(text: str) -> list[str]:
    """The names that a page has tables of."""
    return sorted(found[2] for found in TABLE.finditer(text))


def main(arguments: list[str]) -> int:
    """Writes or checks all pages; 1 if a page is out of date or lacks a name."""
    faults = 0
    for page, registry in PAGES.items():
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        current = filled(text, registry)
        if described(text) != list(registry):
            print(f"{page} describes {described(text)}, the registry holds {list(registry)}")
            faults = 1
        if "--check" not in arguments:
            path.write_text(current, encoding="utf-8")
        elif current != text:
            print(f"{page} is out of date: run python .ci/parameter_tables.py")
            faults = 1
    return faults


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
