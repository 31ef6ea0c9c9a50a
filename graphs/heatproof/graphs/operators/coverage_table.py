"""The operators that a table of rules covers, as the documentation shows them."""

from collections.abc import Callable

from heatproof.graphs.operators.rules import RuleT, RuleTable


def operators_table(rules: RuleTable[RuleT]) -> str:
    """Markdown: each rule's operators with the versions of their schemas, and what it does."""
    operators: dict[RuleT, dict[str, list[int]]] = {}
    for operator in rules:
        versions = operators.setdefault(rules.of(operator), {})
        versions.setdefault(operator.op_type, []).append(operator.since_version)
    rows = sorted(f"| {_listed(types)} | {_summary(rule)} |" for rule, types in operators.items())
    return "\n".join(["| operators (schema versions) | rule |", "|---|---|", *rows])


def _listed(versions: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, since))})" for name, since in versions.items())


def _summary(rule: Callable[..., object]) -> str:
    """First line of the docstring; a bar would end the table's cell."""
    return (rule.__doc__ or "").partition("\n")[0].replace("|", "\\|")
