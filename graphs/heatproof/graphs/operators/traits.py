"""What is known of operators: one table, from which every rewrite selects.

Keyed by schema, as rules are: an operator that is not in the table, or whose version is not, has
no traits, so that nothing is taken for finite, cheap or pointwise that nobody has read about.
"""

from collections.abc import Iterator, Mapping
from enum import Flag, auto
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from heatproof.graphs.operators import families as of
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.operators.versions import VERSIONS


class Trait(Flag):
    """One thing to know of an operator."""

    POINTWISE = auto()
    """Each element of the result is a function of the same element of its first operand."""

    ELEMENTWISE = auto()
    """Each element of the result is a function of the same elements of operands that broadcast."""

    PER_CHANNEL = auto()
    """Each channel of the result is a function of the same channel, at this or other cells."""

    WINDOW = auto()
    """It slides a window over the cells."""

    REDUCING = auto()
    """One number stands for several elements: of a window, of all cells or along axes."""

    FINITE = auto()
    """Finite operands give finite results; with a positive epsilon where it has one."""

    FINITE_OF_POSITIVE = auto()
    """As FINITE, where the last operand is above some positive number."""

    FINITE_OF_NEVER_NEGATIVE = auto()
    """As FINITE, where the operand is never negative."""

    WEIGHTED = auto()
    """Its constants are weights, which are finite and too many to be looked at."""

    NEVER_NEGATIVE = auto()
    """Whatever the operands, the result is not negative."""

    KEEPS_SIGN = auto()
    """Of operands above a number of no or positive sign the result is likewise."""

    ZERO_FAR_BELOW = auto()
    """It is 0 for all operands below some number."""

    STEP = auto()
    """Its derivative is zero wherever it exists."""

    RANDOM = auto()
    """Its results differ from run to run. A seed does not help: it starts a sequence."""

    EXTENT = auto()
    """It reads how large a tensor is, not what it holds."""

    FILL = auto()
    """It fills a tensor with given numbers, whatever the model has seen."""

    COPY = auto()
    """The same numbers at the same places."""

    VIEW = auto()
    """The same numbers in another arrangement of axes."""

    CONVOLUTION = auto()
    """It slides a window over the cells and weighs what lies in it."""

    PRODUCT = auto()
    """It mixes elements along axes by sums of products."""

    LINEAR_COST = auto()
    """A bounded number of steps for each element that it reads or creates."""

    CHEAP = auto()
    """It reads no more than it writes, however large its operands are."""

    EVALUATED = auto()
    """Constants are evaluated through it when a model is prepared."""

    BLOCKED = auto()
    """ONNX Runtime computes it on a processor in the blocked layout NCHWc."""


NONE: Final = Trait(0)

_EVALUATED: Final[of.Family] = (
    "Abs", "Add", "And", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat",
    "Cos", "CumSum", "DepthToSpace", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten",
    "Floor", "Gather", "GatherElements", "Greater", "GreaterOrEqual", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization",
    "Less", "LessOrEqual", "Log", "LpNormalization", "Max", "Mean",
    "MeanVarianceNormalization", "Min", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Reciprocal",
    "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements", "ScatterND",
    "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
)  # fmt: skip

_FAMILIES: Final[Mapping[Trait, of.Family]] = MappingProxyType(
    {
        Trait.POINTWISE: (*of.FINITE_FUNCTIONS, *of.POLES, *of.TESTS),
        Trait.ELEMENTWISE: (
            *of.ARITHMETIC, *of.BITWISE, *of.COMPARISONS, *of.EXTREMES, *of.LOGIC,
            *("BitShift", "Mean", "Mod", "Pow", "Sum", "Where"),
        ),
        Trait.PER_CHANNEL: (*of.POOLS, *of.GLOBAL_POOLS, "BatchNormalization"),
        Trait.WINDOW: (*of.CONVOLUTIONS, *of.INTEGER_CONVOLUTIONS, *of.POOLS),
        Trait.REDUCING: (*of.POOLS, *of.GLOBAL_POOLS, *of.REDUCTIONS),
        Trait.FINITE: (
            *of.FINITE_FUNCTIONS, *of.TESTS, *of.BITWISE, *of.COMPARISONS, *of.EXTREMES, *of.LOGIC,
            *("Add", "Mean", "Mul", "PRelu", "Sub", "Sum"),
            *of.POOLS, *of.GLOBAL_POOLS, *of.CONVOLUTIONS, *of.PRODUCTS, *of.NORMALIZATIONS,
            *("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"),
            *("ReduceSumSquare", "CumSum", "Softmax", "Hardmax", "ArgMax", "ArgMin", "OneHot"),
            *of.VIEWS, *of.BLOCK_MOVES, *of.SELECTIONS, *of.SCATTERS, *of.QUANTIZATION,
            *of.EXTENTS, *("ConstantOfShape", "Dropout", "NonZero", "Resize", "Upsample"),
        ),
        Trait.FINITE_OF_POSITIVE: ("Div", "Reciprocal"),
        Trait.FINITE_OF_NEVER_NEGATIVE: ("Sqrt",),
        Trait.WEIGHTED: ("Conv", "Gemm", "MatMul"),
        Trait.NEVER_NEGATIVE: (
            *("Abs", "GlobalLpPool", "HardSigmoid", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
            *("Relu", "Sigmoid", "Softmax", "Softplus"),
        ),
        Trait.KEEPS_SIGN: (
            *of.VIEWS, *("Identity", "Sqrt"),
            *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"),
        ),
        Trait.ZERO_FAR_BELOW: ("HardSwish", "Relu"),
        Trait.STEP: (
            *of.COMPARISONS, *of.LOGIC, *of.STEPS, *of.TESTS, *of.EXTENTS,
            *("Not", "ArgMax", "ArgMin", "Hardmax", "NonZero", "OneHot", "ConstantOfShape"),
            *("RandomNormalLike", "RandomUniformLike"),
        ),
        Trait.RANDOM: of.RANDOM,
        Trait.EXTENT: of.EXTENTS,
        Trait.FILL: ("ConstantOfShape", "EyeLike"),
        Trait.COPY: of.COPIES,
        Trait.VIEW: of.VIEWS,
        Trait.CONVOLUTION: (*of.CONVOLUTIONS, *of.INTEGER_CONVOLUTIONS),
        Trait.PRODUCT: (*of.PRODUCTS, *of.INTEGER_PRODUCTS),
        Trait.EVALUATED: (*_EVALUATED, *of.CONVOLUTIONS, "Gemm", "MatMul"),
        Trait.LINEAR_COST: (
            *_EVALUATED, *of.EXTENTS, *of.QUANTIZATION, *of.TESTS,
            *("ArgMax", "ArgMin", "Celu", "Compress", "ConstantOfShape", "DynamicQuantizeLinear"),
            *("Elu", "GatherND", "Gelu", "LeakyRelu", "LogSoftmax", "Mish", "Mod", "NonZero"),
            *("OneHot", "PRelu", "Range", "ReduceLogSum", "ReduceLogSumExp", "Selu", "Softplus"),
            *("Softsign", "Swish", "ThresholdedRelu", "Xor"),
        ),
        Trait.CHEAP: (
            *("Add", "Cast", "CastLike", "Concat", "Div", "Expand", "Flatten", "Gather", "Mul"),
            *("Neg", "Pow", "Reciprocal", "Reshape", "Slice", "Sqrt", "Squeeze", "Sub"),
            *("Transpose", "Unsqueeze", "ConstantOfShape"),
        ),
        Trait.BLOCKED: (
            *("Add", "BatchNormalization", "Clip", "Concat", "Conv", "GlobalAveragePool"),
            *("HardSigmoid", "HardSwish", "LeakyRelu", "MaxPool", "Mul", "Relu", "Resize"),
            *("Sigmoid", "Sum", "Tanh"),
        ),
    }
)  # fmt: skip


def _table() -> Iterator[tuple[Operator, Trait]]:
    for op_type, versions in VERSIONS.items():
        traits = NONE
        for trait, types in _FAMILIES.items():
            traits |= trait if op_type in types else NONE
        for version in versions:
            yield Operator("", op_type, version), traits


TRAITS: Final[Mapping[Operator, Trait]] = MappingProxyType(dict(_table()))
"""The traits of every operator that is known; some have none."""

_BY_TYPE: Final = MappingProxyType(
    {operator.op_type: traits for operator, traits in TRAITS.items()}
)


def traits_of(node: ir.Node) -> Trait:
    """The traits of a node's operator; none of an operator or a version that is not known.

    Where the graph of a node does not say its opset, as inner graphs do not, the type decides.
    """
    graph = node.graph
    if graph is None or not graph.opset_imports:
        return NONE if node.domain else _BY_TYPE.get(node.op_type, NONE)
    operator = Operator.of(node, graph.opset_imports)
    return NONE if operator is None else TRAITS.get(operator, NONE)


def has(node: ir.Node, trait: Trait) -> bool:
    """Whether a node's operator has any of these traits."""
    return bool(traits_of(node) & trait)


def types_with(trait: Trait) -> frozenset[str]:
    """Types of ai.onnx with a trait in some version: for what must be met in any version."""
    return frozenset(op_type for op_type, traits in _BY_TYPE.items() if traits & trait)


def versions_of(*families: of.Family) -> dict[str, tuple[int, ...]]:
    """All known versions of the types of families, by type: what a rule is registered for."""
    return {op_type: VERSIONS[op_type] for family in families for op_type in family}
