"""Chooses the output that holds the class scores, or says why there is no one choice."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from heatproof.evaluators.errors import (
    InvalidArgumentError,
    UnknownNameError,
    UnsupportedModelError,
)
from heatproof.evaluators.queries.class_outputs import COARSE, EXACT, UNSTATED, Basis, Statement
from heatproof.graphs.heads.axes import class_axis, holds_one_value
from heatproof.graphs.heads.reading import Reader
from heatproof.graphs.heads.scores import Activation, Kind, Scores
from heatproof.graphs.heads.statements import interpreted
from heatproof.graphs.nodes.captures import values_read
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.preparation import prepared

_LINEAR: Final = frozenset({"Gemm", "MatMul", "Conv"})
_VIEWS: Final = frozenset(
    {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Transpose"}
    | {"QuantizeLinear", "DequantizeLinear"}
)
_INACTIVE: Final = frozenset({Kind.BOUNDED, Kind.SIGNED, Kind.DERIVED})
"""What is known of values that no known activation made."""

_IMAGE_RANK: Final = 4
_HOW: Final = "name one with output (--output; in explain and rewrite: --class-output)"


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """The output with one score per class.

    Attributes:
        name: name of the graph output.
        logits: name of the tensor before the final activation, or of the output itself.
        classes: number of classes, or None when the graph leaves it open; 2 for a single value.
        activation: what lies between logits and output.
        scores: what is known of the tensor `logits` if it is the output: how its values become
            logits; None if it holds logits already.
        is_binary: whether the output holds one value an image.
        basis: what the activation rests on.
        decision: how output and activation were decided, in words.
        is_linear: whether the scores leave a linear layer.
        tolerance: how far sums of probabilities may be from 1.
    """

    name: str
    logits: str
    classes: int | None
    activation: Activation
    scores: Scores | None = None
    is_binary: bool = False
    basis: Basis = Basis.ASSUMED
    decision: str = ""
    is_linear: bool = False
    tolerance: float = EXACT


@dataclass(frozen=True, slots=True)
class Candidate:
    """An output that may hold class scores.

    Attributes:
        value: the output.
        scores: what is known of its values.
        copies: names of the outputs that hold the same values.
    """

    value: ir.Value
    scores: Scores | None
    copies: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the output."""
        return self.value.name or ""

    @property
    def classes(self) -> int | None:
        """Number of classes, or None when the graph leaves it open; 2 for a single value."""
        return 2 if holds_one_value(self.value) else _classes(self.value)


def candidates(model: ir.Model, *, beside: Collection[str] = ()) -> tuple[Candidate, ...]:
    """The outputs that may hold class scores, copies of one tensor taken together.

    The model must have inferred shapes, as `prepared` leaves it.

    Args:
        model: the model.
        beside: names of outputs that are known to be something else.
    """
    reader, batch = Reader(model.opset_imports.get("", 1)), _batch(model)
    computed = _computed_of_inputs(model.graph)
    groups: dict[ir.Value, list[ir.Value]] = {}
    for value in dict.fromkeys(model.graph.outputs):
        if value.name in beside or value not in computed:
            continue
        if _may_hold_scores(value, batch):
            groups.setdefault(_source(value), []).append(value)
    return tuple(
        Candidate(first, reader.scores(first), tuple(copy.name or "" for copy in copies))
        for first, *copies in groups.values()
    )


def find_class_output(
    model: ir.Model, stated: Statement | None = None, *, beside: Collection[str] = ()
) -> ClassOutput:
    """Finds the output with the class scores: [N, classes], with further axes of size 1, or [N].

    An output is chosen if a user names it, if it is the only one that may hold class scores
    (copies count once), if it is the only one that ends in an activation, or if all others are
    features that a last linear layer turns into it. The model must have inferred shapes, as
    `prepared` leaves it.

    Args:
        model: the model.
        stated: what a user says of the output.
        beside: names of outputs that are known to be something else.

    Raises:
        UnsupportedModelError: no output may hold class scores, or several may; lists them.
        UnknownNameError: no output has the stated name.
        InvalidArgumentError: what is stated contradicts the graph.
    """
    stated = stated or UNSTATED
    plausible = candidates(model, beside=beside)
    chosen, why = _chosen(model, plausible, stated)
    return _described(chosen, why, stated)


def logits_of(model: ir.Model, output: str) -> str | None:
    """The tensor with the logits of an output of a model as it was loaded; None for "".

    Raises:
        UnknownNameError: no output has that name.
        InvalidArgumentError: it holds no class scores.
    """
    return find_class_output(prepared(model), Statement(output)).logits if output else None


def _chosen(
    model: ir.Model, plausible: Sequence[Candidate], stated: Statement
) -> tuple[Candidate, str]:
    if stated.output:
        return _named(model, plausible, stated.output), "stated by the user"
    if not plausible:
        raise UnsupportedModelError(
            "the model has no class output; expected a float output [N, classes], [N] or "
            "[N, classes, 1, 1] that is computed of the image, found "
            f"{listed(model.graph.outputs)}"
        )
    if len(plausible) == 1:
        copies = plausible[0].copies
        same = f"the only one, for {', '.join(copies)} holds the same values"
        return plausible[0], same if copies else _only(model)
    active = [found for found in plausible if _is_active(found.scores)]
    if len(active) == 1:
        return active[0], "the only output that ends in an activation"
    last = [found for found in plausible if _is_fed_by_all_others(found, plausible)]
    if len(last) == 1 and not active:
        return last[0], "the other outputs are features that feed it"
    raise UnsupportedModelError(
        f"{len(plausible)} outputs may hold class scores: "
        f"{listed(found.value for found in plausible)}; {_HOW}"
    )


def _only(model: ir.Model) -> str:
    several = len(set(model.graph.outputs)) > 1
    return "the only output that may hold class scores" if several else "the only output"


def _named(model: ir.Model, plausible: Sequence[Candidate], name: str) -> Candidate:
    for found in plausible:
        if name in (found.name, *found.copies):
            value = next(value for value in model.graph.outputs if value.name == name)
            return Candidate(value, found.scores, found.copies)
    names = [value.name or "" for value in model.graph.outputs]
    if name not in names:
        unknown = UnknownNameError.among("output", name, names)
        raise UnknownNameError(unknown.message, field="output", metadata=unknown.metadata)
    value = next(value for value in model.graph.outputs if value.name == name)
    raise InvalidArgumentError(
        f"output {listed([value])} holds no class scores; expected floats [N, classes], [N] or "
        f"[N, classes, 1, 1]: choose from {listed(found.value for found in plausible)}",
        field="output",
    )


def _described(chosen: Candidate, why: str, stated: Statement) -> ClassOutput:
    is_binary = holds_one_value(chosen.value)
    is_linear = _leaves_linear_layer(chosen.value)
    read = interpreted(
        chosen.value, chosen.scores, stated.activation, is_binary=is_binary, is_linear=is_linear
    )
    inside = None if read.scores is None else read.scores.logits
    found = read.scores
    return ClassOutput(
        name=chosen.name,
        logits=(inside or chosen.value).name or "",
        classes=chosen.classes,
        activation=read.activation,
        scores=None if inside is not None else found,
        is_binary=is_binary,
        basis=read.basis,
        decision=f"{why}; {read.words}",
        is_linear=is_linear,
        tolerance=COARSE if _is_coarse(chosen.value, found) else EXACT,
    )


def _is_coarse(value: ir.Value, scores: Scores | None) -> bool:
    return value.dtype != ir.DataType.FLOAT or (scores is not None and scores.is_coarse)


def _classes(value: ir.Value) -> int | None:
    axis = class_axis(value)
    size = None if axis is None or value.shape is None else value.shape[axis]
    return size if isinstance(size, int) else None


def _batch(model: ir.Model) -> int | None:
    """The fixed batch size of the images; None if any is taken."""
    for value in model.graph.inputs:
        if value.shape is not None and value.shape.rank() == _IMAGE_RANK:
            size = value.shape[0]
            return size if isinstance(size, int) else None
    return None


def _may_hold_scores(value: ir.Value, batch: int | None) -> bool:
    shape = value.shape if isinstance(value.type, ir.TensorType) else None
    if shape is None or value.dtype is None or not value.dtype.is_floating_point():
        return False
    if shape.rank() == 1:
        # The scores of one image without a batch axis, [classes], are not one value an image.
        return shape[0] == batch or not isinstance(shape[0], int)
    return shape.rank() > 1 and (class_axis(value) is not None or holds_one_value(value))


def _source(value: ir.Value) -> ir.Value:
    """The tensor that an output is a copy of, or the output itself."""
    node = value.producer()
    while node is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _is_active(scores: Scores | None) -> bool:
    return scores is not None and scores.kind not in _INACTIVE


def _leaves_linear_layer(value: ir.Value) -> bool:
    """Whether a value is a linear layer's, perhaps with a bias added or rearranged."""
    for _ in range(16):
        node = value.producer()
        if node is None:
            return False
        if node.op_type in _LINEAR:
            # Of two computed operands one may be shares that the other is averaged by.
            return any(_is_constant(operand) for operand in node.inputs[:2])
        following = node.inputs[0]
        if node.op_type == "Add":
            computed = [operand for operand in node.inputs if not _is_constant(operand)]
            following = computed[0] if len(computed) == 1 else None
        elif node.op_type not in _VIEWS:
            return False
        if following is None:
            return False
        value = following
    return False


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and ir.convenience.get_const_tensor(value) is not None


def _is_fed_by_all_others(last: Candidate, plausible: Sequence[Candidate]) -> bool:
    """Whether an output is logits and every other one features: not linear, and before it."""
    others = [found for found in plausible if found is not last]
    if not _leaves_linear_layer(last.value):
        return False
    before = _ancestors(last.value)
    return all(
        _source(other.value) in before and not _leaves_linear_layer(other.value) for other in others
    )


def _ancestors(value: ir.Value) -> set[ir.Value]:
    seen: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        node = waiting.pop().producer()
        fresh = () if node is None else (x for x in node.inputs if x is not None and x not in seen)
        for operand in fresh:
            seen.add(operand)
            waiting.append(operand)
    return seen


def listed(values: Iterable[ir.Value]) -> str:
    """Values with their types and shapes."""
    return ", ".join(f"{value.name!r} {value.dtype}{value.shape}" for value in values) or "none"


def _computed_of_inputs(graph: ir.Graph) -> set[ir.Value]:
    """Values computed from what the inputs hold, as opposed to constants and mere sizes."""
    known = {value for value in graph.inputs if not value.is_initializer()}
    found: set[ir.Value] = set()
    for node in graph:
        is_size = has(node, Trait.EXTENT | Trait.FILL)
        if not is_size and not known.isdisjoint(values_read(node)):
            known.update(node.outputs)
            found.update(node.outputs)
    return found
