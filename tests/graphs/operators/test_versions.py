"""Operators that rewrites know, they know in the newest version that ONNX defines."""

from collections import defaultdict
from typing import Any

import onnx
import pytest

from heatproof.graphs.gradients import GRADIENTS
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.rules import Operator, RuleTable


def newest_versions() -> dict[tuple[str, str], int]:
    """By domain and type: the last version that is not deprecated."""
    versions: defaultdict[tuple[str, str], int] = defaultdict(int)
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.deprecated:
            key = (schema.domain, schema.name)
            versions[key] = max(versions[key], schema.since_version)
    return versions


@pytest.mark.parametrize("table", [RULES, GRADIENTS], ids=["masking", "gradients"])
def test_every_operator_is_known_in_its_newest_version(table: RuleTable[Any]) -> None:
    newest = newest_versions()
    of_onnx = {(one.domain, one.op_type) for one in table}.intersection(newest)
    expected = {Operator(*key, newest[key]) for key in of_onnx}
    assert sorted(map(str, expected.difference(table))) == []


@pytest.mark.parametrize("table", [RULES, GRADIENTS], ids=["masking", "gradients"])
def test_every_version_in_a_table_exists(table: RuleTable[Any]) -> None:
    schemas = onnx.defs.get_all_schemas_with_history()
    known = {Operator(one.domain, one.name, one.since_version) for one in schemas}
    assert [str(one) for one in table if one not in known] == []
