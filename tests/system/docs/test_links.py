"""What the pages name is there: other pages, headings, pictures, and the parts of the tree."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PART = re.compile(r"`([\w./]+)`")
ROOTS = [ROOT, *(source / "heatproof" for source in ROOT.iterdir() if source.is_dir())]


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Files and headings of this tree that a page links to."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, heading = target.partition("#")
            yield (page.parent / path).resolve() if path else page, heading


def headings(page: Path) -> set[str]:
    """Names of the headings of a page, as links write them."""
    found = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, heading in links(page):
        assert target.exists(), target
        if heading:
            assert heading in headings(target), f"{target}#{heading}"


def test_the_page_of_the_architecture_names_parts_that_there_are() -> None:
    named = PART.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    paths = [one for one in named if "/" in one]
    homes = [*ROOTS, *(root / root.parent.name for root in ROOTS)]
    assert paths
    assert [one for one in paths if not any((home / one).exists() for home in homes)] == []
