"""The table of operators with a masking rule, as the documentation shows it."""

from heatproof.graphs.masking.table import RULES, MaskingRule


def operators_table() -> str:
    """Markdown: each rule's operators with the versions of their schemas, and what it does."""
    operators: dict[MaskingRule, dict[str, list[int]]] = {}
    for operator in RULES:
        versions = operators.setdefault(RULES.of(operator), {})
        versions.setdefault(operator.op_type, []).append(operator.since_version)
    rows = sorted(f"| {_listed(types)} | {_summary(rule)} |" for rule, types in operators.items())
    return "\n".join(["| operators (schema versions) | rule |", "|---|---|", *rows])


def _listed(versions: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, since))})" for name, since in versions.items())


def _summary(rule: MaskingRule) -> str:
    return (rule.__doc__ or "").partition("\n")[0]
