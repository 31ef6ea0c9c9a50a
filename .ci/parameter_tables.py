"""Writes tables of what is registered into the docs, from the registries; `--check` only compares.

Each metric has a page, `docs/metrics/<category>/<name>.md`, whose headings and picture are checked,
and each category of explainers has one; indexes list all.
"""

import re
import sys
from pathlib import Path
from typing import Any

from heatproof.evaluators.evaluation.requirements import capabilities_of
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.explainers.explainer import ExplainerCategory
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.metrics.metric import MetricCategory, MetricFacts
from heatproof.evaluators.regions import REGIONS
from heatproof.evaluators.registry.parameters import ParameterFacts, parameters_of
from heatproof.evaluators.registry.registry import Registered, Registry
from heatproof.evaluators.removal import REMOVALS
from heatproof.evaluators.removal.operator import RemovalFacts

DOCS = Path(__file__).parents[1] / "docs"
PAGES: dict[str, Registry[Any]] = {
    "removal-operators.md": REMOVALS,
    "regions.md": REGIONS,
}
EXPLAINER_PAGES = DOCS / "explainers"
METRIC_PAGES = DOCS / "metrics"
PICTURES = DOCS / "pictures" / "metrics"
PICTURE = re.compile(r"^!\[.+\]\((.+)\)$", re.MULTILINE)
HEADINGS = ("When to use it", "When it misleads", "Cost", "Peers", "Parameters")
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
INDEX = re.compile(r"(<!-- index -->\n).*?(<!-- end -->)", re.DOTALL)


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


def metric_page(name: str) -> Path:
    """Where a metric is described."""
    return METRIC_PAGES / METRICS[name].facts.category.value / f"{name}.md"


def index() -> str:
    """Every metric with its page, by category, in Markdown."""
    lines: list[str] = []
    for category in MetricCategory:
        kinds = [METRICS[name] for name in METRICS]
        kinds = [kind for kind in kinds if kind.facts.category is category]
        if kinds:
            lines += ["", f"**{category.value.capitalize()}**", ""]
            lines += ["| metric | reference | reads | direction |", "|---|---|---|---|"]
            lines += [index_row(kind.facts) for kind in kinds]
    return "\n".join(lines) + "\n\n"


def index_row(facts: MetricFacts) -> str:
    """One metric."""
    link = f"[{facts.name}]({facts.category.value}/{facts.name}.md)"
    reads = ", ".join(facts.reads)
    return f"| {link} | {facts.reference} | {reads} | {facts.direction.replace('_', ' ')} |"


def explainers_of(category: ExplainerCategory) -> list[str]:
    """The names of a category."""
    return [name for name in EXPLAINERS if EXPLAINERS[name].facts.category is category]


def explainer_index() -> str:
    """Every explainer with its page, by category, in Markdown."""
    lines = ["", "| explainer | reference | needs |", "|---|---|---|"]
    for category in ExplainerCategory:
        for name in explainers_of(category):
            kind = EXPLAINERS[name]
            needs = ", ".join((*kind.facts.reads, *capabilities_of(kind)))
            link = f"[{name}]({category.value}.md#{name})"
            lines += [f"| {link} | {kind.facts.reference} | {needs} |"]
    return "\n".join(lines) + "\n\n"


def explainer_pages() -> list[tuple[Path, Registry[Any], list[str]]]:
    """The page of each category."""
    return [
        (EXPLAINER_PAGES / f"{category.value}.md", EXPLAINERS, explainers_of(category))
        for category in ExplainerCategory
    ]


def page_faults(page: Path, names: list[str], expected: list[str]) -> list[str]:
    """What a page lacks or has too much."""
    if names == expected:
        return []
    return [f"{page.relative_to(DOCS)} describes {names}, and should describe {expected}"]


def heading_faults(page: Path, text: str) -> list[str]:
    """Headings that the page of a metric lacks."""
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    lacking = [heading for heading in HEADINGS if heading not in found]
    return [f"{page.relative_to(DOCS)} lacks the headings {lacking}"] if lacking else []


def pictures_of(page: Path, text: str) -> set[Path]:
    """The pictures that a page shows."""
    return {(page.parent / path).resolve() for path in PICTURE.findall(text)}


def picture_faults(page: Path, text: str) -> list[str]:
    """Whether the page of a metric shows no picture, or one that is not there."""
    shown = pictures_of(page, text)
    if not shown:
        return [f"{page.relative_to(DOCS)} shows no picture of the metric"]
    absent = (one for one in shown if not one.is_file())
    return [f"{page.relative_to(DOCS)} shows {one}, which is not there" for one in absent]


def written(page: Path, text: str, current: str, *, check: bool) -> list[str]:
    """Brings a page up to date, or says that it is not."""
    if not check:
        page.write_text(current, encoding="utf-8")
    elif current != text:
        return [f"{page.relative_to(DOCS)} is out of date: run python .ci/parameter_tables.py"]
    return []


def indexed(front: Path, listing: str, *, check: bool) -> list[str]:
    """Brings the index of a front page up to date, or says that it is not."""
    text = front.read_text(encoding="utf-8")
    current = INDEX.sub(lambda found: found[1] + listing + found[2], text)
    return written(front, text, current, check=check)


def main(arguments: list[str]) -> int:
    """Writes or checks all pages; 1 if a page is out of date or lacks a name."""
    check = "--check" in arguments
    faults: list[str] = []
    shown: set[Path] = set()
    pages = [(DOCS / name, registry, list(registry)) for name, registry in PAGES.items()]
    pages += explainer_pages() + [(metric_page(one), METRICS, [one]) for one in METRICS]
    for page, registry, names in pages:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        faults += page_faults(page, described(text), names)
        if registry is METRICS:
            faults += heading_faults(page, text) + picture_faults(page, text)
            shown |= pictures_of(page, text)
        faults += written(page, text, filled(text, registry), check=check) if text else []
    known = {metric_page(name) for name in METRICS} | {METRIC_PAGES / "README.md"}
    faults += [
        f"{page} describes no metric" for page in METRIC_PAGES.rglob("*.md") if page not in known
    ]
    faults += [f"no page shows {one}" for one in set(PICTURES.glob("*")) - shown]
    for front, listing in ((METRIC_PAGES, index()), (EXPLAINER_PAGES, explainer_index())):
        faults += indexed(front / "README.md", listing, check=check)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
