"""The fenced code of the pages, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]


@dataclass(frozen=True)
class CodeBlock:
    """A block of a page, which it names by its first line."""

    page: str
    line: int
    language: str
    code: str

    @property
    def first_line(self) -> str:
        """The first line that is no comment, without the comment behind it."""
        return next(
            line.partition("  #")[0].strip()
            for line in self.code.splitlines()
            if not line.startswith("#")
        )


def blocks_of(page: Path) -> Iterator[CodeBlock]:
    """Every block of a page; one that is only indented has no language."""
    name = str(page.relative_to(ROOT))
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            line = token.map[0] + 1 if token.map else 0
            yield CodeBlock(name, line, token.info, token.content)


BLOCKS = [block for page in sorted(PAGES) for block in blocks_of(page)]
