"""The documentation's table of operators is the table of rules."""

from pathlib import Path

from heatproof.graphs.gradients import GRADIENTS
from heatproof.graphs.operators.coverage_table import operators_table

PAGE = Path(__file__).parents[3] / "docs" / "differentiation.md"


def test_documented_operators_are_those_with_rules() -> None:
    assert operators_table(GRADIENTS) in PAGE.read_text(encoding="utf-8")


def test_every_rule_says_what_it_does() -> None:
    assert [str(operator) for operator in GRADIENTS if not GRADIENTS.of(operator).__doc__] == []
