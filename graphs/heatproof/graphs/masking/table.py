"""The table of masking rules, keyed by operator schema."""

from collections.abc import Callable

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import State
from heatproof.graphs.operators.rules import RuleTable

Outcome = State | tuple[State | None, ...] | None
"""State of a node's output, or of each of its outputs; None where it carries no image content."""

MaskingRule = Callable[[ir.Node, Scope], Outcome]

RULES: RuleTable[MaskingRule] = RuleTable("masking")
