"""The documentation's table of operators is the table of rules."""

from pathlib import Path

from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.coverage_table import operators_table

PAGE = Path(__file__).parents[3] / "docs" / "layer-masking.md"


def test_documented_operators_are_those_with_rules() -> None:
    assert operators_table(RULES) in PAGE.read_text(encoding="utf-8")
