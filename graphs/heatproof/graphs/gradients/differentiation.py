"""Reverse-mode differentiation: from a graph of y = f(x) to one of y and J^T v.

Nodes on the paths from x to y are walked backwards; each adds, by the rule of its operator, the
nodes that turn gradients at its outputs into gradients at its inputs. Forward tensors that a rule
needs are read where the forward pass leaves them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.evaluators.errors import UnsupportedModelError, UnsupportedOperatorError
from heatproof.evaluators.queries.passes import BackwardRules
from heatproof.graphs.gradients.composites import (
    Stands,
    expand_composites,
    return_to_composites,
)
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.paths import (
    Path,
    differentiable_inputs,
    find_tensor,
    path_between,
)
from heatproof.graphs.gradients.rectifiers import RECTIFIERS, is_rectifier, require_rectifier
from heatproof.graphs.gradients.refusals import reason_against
from heatproof.graphs.gradients.rules.linear import diagonal_product
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, Rule
from heatproof.graphs.heads.signature import find_class_output, find_image_input
from heatproof.graphs.masking.rewriting import COVERAGE_OUTPUT, MASK_INPUT
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.nodes.derivatives import Derivative, declared
from heatproof.graphs.preparation.opsets import ready
from heatproof.graphs.preparation.repeatability import refuse_unrepeatable, with_unrepeatable

OUTPUT_GRADIENT = "output_gradient"
"""Added input: the vector v, of the shape and element type of `of`."""

INPUT_GRADIENT = "input_gradient"
"""Added output: J^T v, of the shape and element type of `wrt`."""


def differentiated(
    model: ir.Model,
    *,
    of: str | None = None,
    wrt: str | None = None,
    rules: BackwardRules = BackwardRules.EXACT,
    plain: bool = False,
) -> ir.Model:
    """Returns a copy of a model that also computes a vector-Jacobian product.

    The copy keeps the model's inputs and outputs and adds the input `OUTPUT_GRADIENT` and the
    output `INPUT_GRADIENT` = J^T OUTPUT_GRADIENT with J = d of / d wrt. Rows of a batch are
    independent, so one run gives the gradients of a whole batch. Only nodes between `wrt` and
    `of` need a rule. In a layer-masked graph the filled cells count as constants.

    Args:
        model: any classifier; not changed.
        of: tensor to differentiate; the logits of the class output by default.
        wrt: tensor to differentiate by: an input or an intermediate tensor; the image by default.
        rules: how rectifiers are differentiated.
        plain: whether the model is as `prepared` returns it, and is not prepared again.

    Raises:
        UnknownNameError: no tensor has the name given as `of` or `wrt`.
        UnsupportedOperatorError: a node between the two has no sound rule.
        UnsupportedModelError: `of` does not depend on `wrt`, one of them is no float tensor, or
            the rules are for rectifiers and there is none.
    """
    sweep = _Sweep.prepare(model, of, wrt, rules=rules, plain=plain)
    refuse_unrepeatable(sweep.model.graph)
    return sweep.finished(sweep.run())


def gradient_blockers(
    model: ir.Model,
    *,
    of: str | None = None,
    wrt: str | None = None,
    rules: BackwardRules = BackwardRules.EXACT,
    plain: bool = False,
) -> tuple[Blocker, ...]:
    """Lists the nodes for which `differentiated` refuses a model; empty if it does not.

    A model that is `plain`, as `prepared` returns it, is not prepared again.

    Raises:
        UnknownNameError: no tensor has the name given as `of` or `wrt`.
        UnsupportedModelError: the two ends are not connected, or not float tensors, or the rules
            are for rectifiers and there is none.
    """
    blockers: list[Blocker] = []
    sweep = _Sweep.prepare(model, of, wrt, rules=rules, plain=plain)
    sweep.run(blockers)
    return with_unrepeatable(sweep.model.graph, blockers)


def check_rectifiers(model: ir.Model, *, of: str | None = None, plain: bool = False) -> None:
    """Looks for a rectifier between image and `of`; nodes without a rule are not looked for.

    A model that is `plain`, as `prepared` returns it, is not prepared again.

    Raises:
        UnsupportedModelError: there is none, as `gradient_blockers` refuses it.
    """
    _Sweep.prepare(model, of, None, rules=BackwardRules.GUIDED, plain=plain)


@dataclass(frozen=True, slots=True)
class _Sweep:
    """One backward walk over a prepared copy of a model."""

    model: ir.Model
    start: ir.Value
    end: ir.Value
    path: Path
    stands: Stands
    op: GradientEmitter
    rules: BackwardRules

    @classmethod
    def prepare(
        cls,
        model: ir.Model,
        of: str | None,
        wrt: str | None,
        *,
        rules: BackwardRules,
        plain: bool = False,
    ) -> "_Sweep":
        copy = ready(model, plain=plain)
        _refuse_taken_names(copy.graph)
        start = find_tensor(copy, wrt or _image_of(copy))
        end = find_tensor(copy, of or find_class_output(copy, beside=_coverage_of(copy)).logits)
        for value in (start, end):
            _require_floats(value)
        stands = expand_composites(
            copy, lambda stands: path_between(copy.graph, start, stands.get(end, end)).nodes
        )
        end = stands.get(end, end)
        path = path_between(copy.graph, start, end)
        if start not in path.active:
            raise UnsupportedModelError(
                f"{end.name!r} does not depend on {start.name!r}; choose a tensor before it"
            )
        if rules in RECTIFIERS:
            require_rectifier(path.nodes)
        op = GradientEmitter(copy.graph, path.active)
        return cls(copy, start, end, path, stands, op, rules)

    def run(self, blockers: list[Blocker] | None = None) -> ir.Value:
        """Appends the gradient graph and returns the gradient at the start.

        Refusals are listed in `blockers` if given, which leaves the graph unusable.
        """
        seed = _added_input(self.model.graph, self.end)
        pending: dict[ir.Value, list[ir.Value]] = defaultdict(list, {self.end: [seed]})
        for node in reversed(self.path.nodes):
            self.op.begin(node)
            gradients = [self._total(pending.pop(out, [])) for out in node.outputs]
            if all(gradient is None for gradient in gradients):
                continue
            for value, gradient in self._apply(node, gradients, blockers):
                if gradient is not None and value is not None and value in self.path.active:
                    pending[value].append(_typed_as(value, gradient))
        total = self._total(pending[self.start])
        if blockers:
            return seed
        if total is None:
            raise UnsupportedModelError(
                f"the derivative of {self.end.name!r} by {self.start.name!r} is zero everywhere"
            )
        return total

    def _total(self, gradients: list[ir.Value]) -> ir.Value | None:
        if not gradients:
            return None
        total = gradients[0]
        for gradient in gradients[1:]:
            total = _typed_as(total, self.op("Add", total, gradient))
        return total

    def _apply(
        self, node: ir.Node, gradients: Gradients, blockers: list[Blocker] | None
    ) -> Iterable[tuple[ir.Value | None, ir.Value | None]]:
        """What a node reads, and the gradients there."""
        try:
            return zip(node.inputs, self._rule(node)(node, gradients, self.op), strict=False)
        except UnsupportedOperatorError as error:
            if blockers is None:
                raise
            blockers.append(_blocker(node, error))
            unusable = self.op("Neg", 0.0)  # stands for the missing gradients
            return [(value, unusable) for value in differentiable_inputs(node)]

    def _rule(self, node: ir.Node) -> Rule:
        reason = reason_against(node)
        if reason:
            raise self.op.refusal(reason)
        if declared(node) is Derivative.DIAGONAL:
            return diagonal_product
        exact = GRADIENTS.find(node, self.model.graph.opset_imports)
        if self.rules in RECTIFIERS and is_rectifier(node):
            return partial(RECTIFIERS[self.rules], exact)
        return exact

    def finished(self, gradient: ir.Value) -> ir.Model:
        """Names the result, drops what it does not need, and returns the model."""
        self.op.begin(ir.node("Identity", [gradient], name=INPUT_GRADIENT))
        result = self.op("Identity", gradient)
        result.name = INPUT_GRADIENT
        result.shape, result.type = self.start.shape, self.start.type
        self.model.graph.outputs.append(result)
        return_to_composites(self.stands)
        common.RemoveUnusedNodesPass()(self.model)
        return self.model


def _blocker(node: ir.Node, error: UnsupportedOperatorError) -> Blocker:
    """The refusal without the names, which stand beside its reason."""
    known = error.metadata
    reason = known.get("reason") or f"no rule for it; supported: {known.get('supported')}"
    return Blocker(node.name or "", known.get("operator", node.op_type), reason)


def _typed_as(value: ir.Value, gradient: ir.Value) -> ir.Value:
    """Declares the type and shape of a gradient, symbolic dimensions included.

    ONNX Runtime keeps its blocked layouts only where it can see that shapes are equal.
    """
    gradient.type = gradient.type or value.type
    gradient.shape = gradient.shape or value.shape
    return gradient


def _image_of(model: ir.Model) -> str:
    """The image input; a layer-masked graph has its mask beside it."""
    beside = (MASK_INPUT,) if _coverage_of(model) else ()
    return find_image_input(model, beside=beside).name


def _coverage_of(model: ir.Model) -> tuple[str, ...]:
    """The output that a layer-masked graph has beside those of its model."""
    inputs, outputs = model.graph.inputs, model.graph.outputs
    is_masked = any(value.name == MASK_INPUT for value in inputs)
    return tuple(v.name for v in outputs if is_masked and v.name == COVERAGE_OUTPUT)


def _added_input(graph: ir.Graph, end: ir.Value) -> ir.Value:
    seed = ir.Value(name=OUTPUT_GRADIENT, shape=end.shape, type=end.type)
    graph.inputs.append(seed)
    return seed


def _refuse_taken_names(graph: ir.Graph) -> None:
    named = {value.name for value in (*graph.inputs, *graph.outputs, *graph.initializers.values())}
    named.update(value.name for node in graph for value in node.outputs)
    for name in (OUTPUT_GRADIENT, INPUT_GRADIENT):
        if name in named:
            raise UnsupportedModelError(
                f"the model already has a tensor {name!r}: it is differentiated already, "
                "or the tensor must be renamed in the export"
            )


def _require_floats(value: ir.Value) -> None:
    if value.dtype is None or not value.dtype.is_floating_point():
        raise UnsupportedModelError(
            f"{value.name!r} is {value.dtype}; only floating-point tensors have gradients"
        )
