"""The documentation's table of operators is the table of rules."""

from pathlib import Path

from heatproof.graphs.masking.coverage_table import operators_table

PAGE = Path(__file__).parents[2] / "docs" / "layer-masking.md"


def test_documented_operators_are_those_with_rules() -> None:
    assert operators_table() in PAGE.read_text(encoding="utf-8")
