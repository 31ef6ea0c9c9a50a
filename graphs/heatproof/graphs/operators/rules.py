"""Tables of graph rules, keyed by the operator schema that each rule was written against.

A rule for `Relu-14` says nothing about `Relu-13`: schemas change meaning between versions, so an
operator whose version is in no table is refused, loudly, rather than served by an old rule.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Generic, NamedTuple, TypeVar

import onnx
import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError

RuleT = TypeVar("RuleT", bound=Callable[..., object])


class Operator(NamedTuple):
    """An operator schema: domain ("" is ai.onnx), type, and the opset that introduced it."""

    domain: str
    op_type: str
    since_version: int

    @classmethod
    def of(cls, node: ir.Node, opset_imports: Mapping[str, int]) -> "Operator | None":
        """Resolves the schema of a node, or None if ONNX defines no such operator."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        since = _since(node.op_type, opset_imports.get(domain), domain)
        return None if since is None else cls(domain, node.op_type, since)

    @classmethod
    def name_of(cls, node: ir.Node, opset_imports: Mapping[str, int]) -> str:
        """Domain, type and version of a node's operator, as far as ONNX knows it."""
        operator = cls.of(node, opset_imports)
        return str(operator) if operator else f"{node.domain or 'ai.onnx'}.{node.op_type}"

    def __str__(self) -> str:
        prefix = f"{self.domain}." if self.domain else ""
        return f"{prefix}{self.op_type}-{self.since_version}"


@cache
def _since(op_type: str, opset: int | None, domain: str) -> int | None:
    """The opset that introduced the version in use, or None if there is none."""
    if opset is None or not onnx.defs.has(op_type, opset, domain):
        return None
    since: int = onnx.defs.get_schema(op_type, opset, domain).since_version
    return since


class RuleTable(Generic[RuleT]):
    """Rules of one purpose, such as masking; a duplicate registration raises."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self._rules: dict[Operator, RuleT] = {}

    def rule(self, op_type: str, *versions: int, domain: str = "") -> Callable[[RuleT], RuleT]:
        """Registers the decorated rule for the given versions of one operator."""
        return self.family({op_type: versions}, domain=domain)

    def family(
        self, versions_by_type: Mapping[str, Iterable[int]], *, domain: str = ""
    ) -> Callable[[RuleT], RuleT]:
        """Registers the decorated rule for a family of operators."""

        def register(rule: RuleT) -> RuleT:
            for op_type, versions in versions_by_type.items():
                for version in versions:
                    self._add(Operator(domain, op_type, version), rule)
            return rule

        return register

    def _add(self, operator: Operator, rule: RuleT) -> None:
        if operator in self._rules:
            message = f"{self.purpose}: two rules for {operator}"
            raise ValueError(message)
        self._rules[operator] = rule

    def __iter__(self) -> Iterator[Operator]:
        """Operators covered, sorted."""
        return iter(sorted(self._rules))

    def of(self, operator: Operator) -> RuleT:
        """The rule of a covered operator."""
        return self._rules[operator]

    def covers(self, node: ir.Node, opset_imports: Mapping[str, int]) -> bool:
        """Whether a rule exists for this node's operator at this opset."""
        return Operator.of(node, opset_imports) in self._rules

    def find(self, node: ir.Node, opset_imports: Mapping[str, int]) -> RuleT:
        """Finds the rule of a node.

        Raises:
            UnsupportedOperatorError: names the node, its operator and the supported versions.
        """
        operator = Operator.of(node, opset_imports)
        if operator is not None and operator in self._rules:
            return self._rules[operator]
        raise self._unsupported(node, opset_imports)

    def _unsupported(
        self, node: ir.Node, opset_imports: Mapping[str, int]
    ) -> UnsupportedOperatorError:
        same = [str(known) for known in self if known.op_type == node.op_type]
        known = ", ".join(same) if same else f"none of {node.op_type}"
        opset = opset_imports.get(node.domain, 0)
        named = Operator.name_of(node, opset_imports)
        return UnsupportedOperatorError(
            f"node {node.name!r}: no {self.purpose} rule for {named} (opset {opset}); "
            f"supported: {known}",
            metadata={
                "node": node.name or "",
                "operator": named,
                "opset": str(opset),
                "supported": known,
            },
        )
