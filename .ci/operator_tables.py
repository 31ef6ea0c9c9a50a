"""Writes the tables of operators into the docs, from the tables of rules."""

import re
from pathlib import Path
from typing import Any

from heatproof.graphs.gradients import GRADIENTS
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.coverage_table import operators_table
from heatproof.graphs.operators.rules import RuleTable

DOCS = Path(__file__).parents[1] / "docs"
PAGES: dict[str, RuleTable[Any]] = {"layer-masking.md": RULES, "differentiation.md": GRADIENTS}
TABLE = re.compile(r"(<!-- operators -->\n).*?(\n<!-- end -->)", re.DOTALL)


def main() -> None:
    """Writes both pages; tests tell when that is due."""
    for page, rules in PAGES.items():
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        table = operators_table(rules)
        path.write_text(
            TABLE.sub(lambda found, table=table: found[1] + table + found[2], text),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
